import csv
import math
from pathlib import Path
from statistics import mean, stdev

import pytest
from scipy.stats import ttest_rel

from digits.evaluation import pictures
from digits.parameters.schema import read
from digits.sweeps import results as sweep_results
from digits.sweeps.plan import Point
from digits.sweeps.results import Row
from tests.project import ROOT

PARAMETERS = read(ROOT / "params.yaml", {"normalize.validation_size": 1000})


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


def test_equal_differences_have_no_p_whatever_their_last_bits() -> None:
    """One image of a thousand is two floats."""
    assert 0.901 - 0.9 != 0.938 - 0.937
    rows = [row(BASE, 1, 0.9), row(BASE, 2, 0.937), row(SAME, 1, 0.901), row(SAME, 2, 0.938)]
    same, _ = sweep_results.summarize(rows, "base")
    assert same.difference == pytest.approx(0.001)
    assert same.p is None


@pytest.mark.parametrize(
    "counts",
    [
        [(900, 910), (905, 905), (899, 930), (920, 921)],
        [(900, 901), (900, 901), (900, 902)],
        [(7, 9), (9, 7)],
    ],
)
def test_p_is_that_of_scipy_on_counts(counts: list[tuple[int, int]]) -> None:
    """With ties among the differences, and with a mean of zero."""
    rows = [
        row(at, seed, count / 1000)
        for seed, pair in enumerate(counts)
        for at, count in zip((BASE, BETTER), pair, strict=True)
    ]
    found = {s.point: s.p for s in sweep_results.summarize(rows, "base")}
    assert found[BETTER] == pytest.approx(ttest_rel([b for _, b in counts], [a for a, _ in counts]).pvalue)


def test_the_best_point_has_no_failed_trial() -> None:
    assert sweep_results.best(ROWS[:9]) is BETTER
    rows = [row(BASE, 1, 0.5), row(BETTER, 1, 0.9), row(BETTER, 2, status="diverged")]
    assert sweep_results.best(rows) is BASE
    assert sweep_results.best(rows[1:]) is None, "none of whose trials all were completed"


def test_a_point_with_a_failed_trial_comes_after_all_others() -> None:
    rows = [row(BASE, 1, 0.5), row(BASE, 2, 0.5), row(BETTER, 1, 0.9), row(BETTER, 2, status="diverged")]
    first, second = sweep_results.summarize(rows, "base")
    assert (first.point, first.is_whole) == (BASE, True)
    assert (second.point, second.is_whole) == (BETTER, False)


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
