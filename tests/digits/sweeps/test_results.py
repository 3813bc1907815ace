import csv
import math
from pathlib import Path
from statistics import mean, stdev

import pytest

from digits.evaluation import pictures
from digits.parameters.schema import read
from digits.sweeps import results as sweep_results
from digits.sweeps.plan import Point
from digits.sweeps.results import Row
from tests.project import ROOT

IMAGES = 1000
PARAMETERS = read(ROOT / "params.yaml", {"normalize.validation_size": IMAGES})


def point(name: str, **chosen: object) -> Point:
    return Point(name, chosen, chosen, PARAMETERS)


def row(at: Point, seed: int, *accuracies: float, tuning: bool = False, status: str = "completed") -> Row:
    curve = [
        {"epoch": n, "loss": 1.0, "accuracy": 0.5, "validation_loss": 1 - a, "validation_accuracy": a}
        for n, a in enumerate(accuracies, start=1)
    ]
    return Row(at, seed, tuning, status, "" if curve else "why", curve, len(curve) or None)


BASE, BETTER, SAME, BROKEN = point("base"), point("better", lr=0.1), point("same"), point("broken")
ROWS = [
    *(row(BASE, seed, 0.5, a) for seed, a in enumerate([0.90, 0.91, 0.92])),
    *(row(BETTER, seed, 0.6, a) for seed, a in enumerate([0.95, 0.955, 0.973])),
    *(row(SAME, seed, 0.5, a) for seed, a in enumerate([0.905, 0.905, 0.921])),
    row(BROKEN, 0, 0.5, 0.8),
    row(BROKEN, 1, status="diverged"),
    row(BROKEN, 2, status="killed"),
    row(BETTER, 7, 0.1, tuning=True),
]


def test_points_are_compared_over_their_seeds() -> None:
    better, same, base, broken = sweep_results.summarize(ROWS, "base")
    assert [s.point for s in (better, same, base, broken)] == [BETTER, SAME, BASE, BROKEN]
    assert better.mean == pytest.approx((0.95 + 0.955 + 0.973) / 3)
    assert better.deviation == pytest.approx(stdev([0.95, 0.955, 0.973]))
    assert better.difference == pytest.approx((0.95 + 0.955 + 0.973) / 3 - 0.91)
    assert (better.seeds, better.failed) == (3, 0)
    assert (base.difference, base.p) == (None, None)
    assert (broken.seeds, broken.failed) == (1, 2)
    assert broken.deviation is None
    assert broken.difference == pytest.approx(-0.1)
    assert broken.p is None, "one seed says nothing"


def test_p_is_a_paired_t_test_corrected_by_holm() -> None:
    better, same, *_ = sweep_results.summarize(ROWS, "base")
    differences = [0.05, 0.045, 0.053]
    t = mean(differences) / (stdev(differences) / math.sqrt(3))
    alone = 1 - t / math.sqrt(t * t + 2)  # Student's t with two degrees of freedom, in closed form
    assert better.p == pytest.approx(2 * alone, rel=1e-6), "the smallest of two counts twice"
    assert same.p is not None
    assert same.p > 0.5


def test_equal_results_have_no_p() -> None:
    rows = [row(at, seed, 0.9) for at in (BASE, SAME) for seed in (1, 2)]
    assert [s.p for s in sweep_results.summarize(rows, "base")] == [None, None]


def of_counts(*counts: tuple[int, int]) -> float | None:
    """The p-value of a point against the baseline: right images of both, pair by pair."""
    rows = [
        row(at, seed, right / IMAGES)
        for seed, pair in enumerate(counts)
        for at, right in zip((BASE, SAME), pair, strict=True)
    ]
    return next(s.p for s in sweep_results.summarize(rows, "base") if s.point is SAME)


def test_differences_that_are_equal_but_for_rounding_have_no_p() -> None:
    assert 0.930 - 0.922 != 0.938 - 0.930, "as floats they are two"
    assert of_counts((922, 930), (930, 938)) is None
    tied = [(right, right + 4) for right in range(0, 990, 7)]
    assert of_counts(*tied) is None
    assert of_counts(*tied, (500, 505)) is not None


@pytest.mark.parametrize(
    "counts",
    [
        [(900, 950), (910, 955), (920, 973)],
        [(911, 915), (915, 919), (915, 918)],
        [(905, 900), (905, 900), (905, 910), (905, 900)],
        [(0, 1000), (1000, 0), (1, 2), (3, 3)],
    ],
)
def test_p_is_that_of_scipy_on_counts_of_images(counts: list[tuple[int, int]]) -> None:
    from scipy.stats import ttest_rel  # takes a second

    base, other = zip(*counts, strict=True)
    assert of_counts(*counts) == pytest.approx(ttest_rel(other, base).pvalue, rel=1e-12)


def test_shares_of_other_numbers_of_images_are_compared_exactly() -> None:
    many = read(ROOT / "params.yaml", {"normalize.validation_size": 3 * IMAGES})
    at = Point("many", {}, {}, many)
    rows = [row(BASE, 1, 0.3), row(BASE, 2, 0.4), row(at, 1, 901 / 3000), row(at, 2, 1201 / 3000)]
    (summary,) = [s for s in sweep_results.summarize(rows, "base") if s.point is at]
    assert summary.difference == 1 / 3000
    assert summary.p is None


def test_the_best_point_has_no_failed_trial() -> None:
    assert sweep_results.best(ROWS[:9]) is BETTER
    rows = [row(BASE, 1, 0.5), row(BETTER, 1, 0.9), row(BETTER, 2, status="diverged")]
    assert sweep_results.best(rows) is BASE
    assert sweep_results.best(rows[1:]) is None
    assert sweep_results.best([]) is None


def test_the_first_of_equal_points_is_the_best_whatever_is_rounded() -> None:
    assert mean([0.939, 0.939]) < mean([0.937, 0.941]), "as floats the second is better"
    rows = [row(BASE, 1, 0.939), row(BASE, 2, 0.939), row(SAME, 1, 0.937), row(SAME, 2, 0.941)]
    assert sweep_results.best(rows) is BASE
    assert [s.point for s in sweep_results.summarize(rows, "base")] == [BASE, SAME]


def test_a_point_with_a_failed_trial_comes_after_those_without() -> None:
    rows = [
        *(row(BROKEN, seed, status="diverged") for seed in (1, 2)),
        *(row(BETTER, 1, 0.99), row(BETTER, 2, status="diverged")),
        *(row(BASE, seed, 0.5) for seed in (1, 2)),
    ]
    summaries = sweep_results.summarize(rows, "base")
    assert [(s.point, s.whole) for s in summaries] == [(BASE, True), (BETTER, False), (BROKEN, False)]


def test_the_tables_have_every_row(tmp_path: Path) -> None:
    sweep_results.write_tables(tmp_path, ROWS, sweep_results.summarize(ROWS, "base"))
    trials, summary, curves = (
        list(csv.DictReader((tmp_path / f"{name}.csv").read_text().splitlines()))
        for name in ("trials", "summary", "curves")
    )
    assert len(trials) == len(ROWS)
    assert trials[10] == {
        "configuration": "broken",
        "chosen": "{}",
        "seed": "1",
        "part": "final",
        "status": "diverged",
        "reason": "why",
        "epoch": "",
        "loss": "",
        "accuracy": "",
        "validation_loss": "",
        "validation_accuracy": "",
    }
    assert trials[-1]["part"] == "tuning"
    assert [r["configuration"] for r in summary] == ["better", "same", "base", "broken"]
    assert summary[0]["chosen"] == '{"lr": 0.1}'
    assert len(curves) == 2 * 10 + 1
    assert curves[1]["validation_accuracy"] == "0.9"


def test_what_ended_for_good_is_kept_and_what_was_killed_is_not(tmp_path: Path) -> None:
    results: dict[str, dict[str, object]] = {
        status: {"status": status, "reason": "", "curve": [], "kept": None}
        for status in ("completed", "diverged", "failed", "killed")
    }
    for status, result in results.items():
        sweep_results.store(tmp_path / status, result)
    kept = {status: sweep_results.load(tmp_path / status) for status in results}
    assert kept == {**results, "failed": None, "killed": None}
    assert sweep_results.load(tmp_path / "never") is None
    (tmp_path / "half").write_text('{"status": "comp')
    assert sweep_results.load(tmp_path / "half") is None


def test_the_curves_of_the_picture_are_those_of_the_final_trials(tmp_path: Path) -> None:
    curves = sweep_results.curves(ROWS, sweep_results.summarize(ROWS, "base"))
    assert list(curves) == ["better lr=0.1", "same", "base", "broken"]
    assert curves["base"] == [[0.5, 0.9], [0.5, 0.91], [0.5, 0.92]]
    assert curves["broken"] == [[0.5, 0.8]]
    curves["stopped early"] = [[0.7], [0.7, 0.8]]
    for name in ("one", "two"):
        pictures.learning_curves(curves, tmp_path / name)
    assert (tmp_path / "one").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
