"""What a sweep found: its trials, kept as they end, and the tables made of them."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator

from digits.common.files import replacing
from digits.sweeps.plan import Point

FINAL = ("completed", "diverged")
"""What would become of a trial again."""


@dataclass(frozen=True)
class Row:
    """A trial that has ended."""

    point: Point
    seed: int
    tuning: bool
    """Whether it only had a part in a choice."""
    status: str
    """`completed`, `diverged` (the loss left the finite numbers), `failed` or `killed`."""
    reason: str
    curve: Sequence[Mapping[str, float]]
    kept: int | None
    """The epoch whose weights are kept, from 1."""

    @property
    def end(self) -> Mapping[str, float]:
        """The kept epoch, empty without one."""
        return self.curve[self.kept - 1] if self.kept else {}

    @property
    def accuracy(self) -> float | None:
        """On the validation images, 0 to 1."""
        return self.end.get("validation_accuracy")

    @property
    def share(self) -> Fraction | None:
        """The accuracy as right images of all, exactly: what is equal is so to the last bit."""
        images = self.point.parameters.normalize.validation_size
        return None if self.accuracy is None else Fraction(round(self.accuracy * images), images)


@dataclass(frozen=True)
class Summary:
    """A point over its seeds."""

    point: Point
    seeds: int
    """How many of them were completed."""
    failed: int
    mean: float | None
    deviation: float | None
    """Standard deviation of a single trial."""
    difference: float | None
    """From the baseline, the mean over the seeds that both have."""
    p: float | None
    """Of a paired t-test against the baseline, corrected by Holm's method for the number of points."""

    @property
    def whole(self) -> bool:
        """Whether every trial was completed, without which a point must not be chosen."""
        return bool(self.seeds) and not self.failed


class _Stored(BaseModel):
    """What became of a trial: the fields of a Row that a file has."""

    model_config = ConfigDict(strict=True, extra="forbid")

    status: str
    reason: str
    curve: list[dict[str, FiniteFloat]]
    kept: int | None

    @model_validator(mode="after")
    def _kept_is_in_the_curve(self) -> Self:
        if self.kept is not None and not 1 <= self.kept <= len(self.curve):
            raise ValueError("the kept epoch is not in the curve")
        return self


def load(path: Path) -> dict[str, Any] | None:
    """What `store` wrote, if it need not be tried again; None of a file that it did not write."""
    try:
        result = _Stored.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    return result.model_dump() if result.status in FINAL else None


def store(path: Path, result: Mapping[str, Any]) -> None:
    """Keep what became of a trial, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def best(rows: Sequence[Row]) -> Point | None:
    """The point with the highest mean accuracy, the first of equals; None where each has a failed trial."""
    found: dict[Point, list[Fraction | None]] = {}
    for row in rows:
        found.setdefault(row.point, []).append(row.share)
    means = {
        point: mean(share for share in shares if share is not None)
        for point, shares in found.items()
        if None not in shares
    }
    return max(means, key=lambda point: means[point]) if means else None


def summarize(rows: Sequence[Row], baseline: str) -> list[Summary]:
    """Every point that was not only tuned: the best first, and those with a failed trial after all others."""
    final = [row for row in rows if not row.tuning]
    by_point: dict[Point, dict[int, Fraction]] = {row.point: {} for row in final}
    for row in final:
        if row.share is not None:
            by_point[row.point][row.seed] = row.share
    reference: dict[int, Fraction] = next((f for p, f in by_point.items() if p.configuration == baseline), {})
    ps = _holm({p: _paired(f, reference) for p, f in by_point.items() if p.configuration != baseline})
    summaries = []
    for point, found in by_point.items():
        values, shared = list(found.values()), found.keys() & reference.keys()
        compared = shared and point.configuration != baseline
        summaries.append(
            Summary(
                point=point,
                seeds=len(values),
                failed=sum(row.point == point for row in final) - len(values),
                mean=float(mean(values)) if values else None,
                deviation=float(stdev(values)) if len(values) > 1 else None,
                difference=float(mean(found[s] - reference[s] for s in shared)) if compared else None,
                p=ps.get(point),
            )
        )
    return sorted(summaries, key=lambda s: (s.whole, -1.0 if s.mean is None else s.mean), reverse=True)


def _paired(found: Mapping[int, Fraction], reference: Mapping[int, Fraction]) -> float | None:
    """The two-sided p-value of the same mean, by the seeds that both have; None where it says nothing."""
    differences = [found[s] - reference[s] for s in sorted(found.keys() & reference.keys())]
    if len(set(differences)) < 2:
        return None
    from scipy.stats import ttest_1samp  # takes a second

    # The test asks for no unit: in whole numbers (of images), nothing is rounded before it.
    unit = lcm(*(difference.denominator for difference in differences))
    return float(ttest_1samp([int(difference * unit) for difference in differences], 0).pvalue)


def _holm(ps: Mapping[Point, float | None]) -> dict[Point, float]:
    known = sorted((p, number, point) for number, (point, p) in enumerate(ps.items()) if p is not None)
    corrected, highest = {}, 0.0
    for place, (p, _, point) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - place)))
        corrected[point] = highest
    return corrected


def curves(rows: Sequence[Row], summaries: Sequence[Summary]) -> dict[str, list[list[float]]]:
    """Of every summary that has any, the accuracies after each epoch, a list for each seed."""
    found = {
        summary.point.label: [
            [epoch["validation_accuracy"] for epoch in row.curve]
            for row in rows
            if row.point is summary.point and row.curve and not row.tuning
        ]
        for summary in summaries
    }
    return {label: lists for label, lists in found.items() if lists}


def write_tables(folder: Path, rows: Sequence[Row], summaries: Sequence[Summary]) -> None:
    """`trials.csv`, `summary.csv` and `curves.csv`."""
    _write(folder / "trials.csv", [_trial(row) for row in rows])
    _write(folder / "summary.csv", [table_row(summary) for summary in summaries])
    curves = [
        {**_who(row), **{key: _short(value) for key, value in epoch.items()}}
        for row in rows
        for epoch in row.curve
    ]
    _write(folder / "curves.csv", curves)


def table_row(summary: Summary) -> dict[str, object]:
    """A summary in words and short numbers."""
    return {
        "configuration": summary.point.configuration,
        "chosen": json.dumps(summary.point.chosen),
        "seeds": summary.seeds,
        "failed": summary.failed,
        "validation_accuracy": _short(summary.mean),
        "deviation": _short(summary.deviation),
        "difference": _short(summary.difference),
        "p": _short(summary.p, 3),
    }


def _who(row: Row) -> dict[str, object]:
    chosen = json.dumps(row.point.chosen)
    part = "tuning" if row.tuning else "final"
    return {"configuration": row.point.configuration, "chosen": chosen, "seed": row.seed, "part": part}


def _trial(row: Row) -> dict[str, object]:
    numbers = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy")
    ended = {"status": row.status, "reason": row.reason}
    return {**_who(row), **ended, **{name: _short(row.end.get(name)) for name in numbers}}


def _short(value: float | None, digits: int = 6) -> str:
    # As the train stage writes reports/training.csv.
    return "" if value is None else f"{value:.{digits}g}"


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
