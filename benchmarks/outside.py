"""What a trained recipe answers outside the test set: its rows in docs/calibration.md and docs/shift.md."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np

from benchmarks import unfamiliar
from digits.data.datasets import read_raw
from digits.shift.answers import ExportedModel


class Outside(NamedTuple):
    """Of one training."""

    accuracy: float
    """On all test images."""
    calibration: Mapping[str, Any]
    """reports/calibration.json."""
    shift: Mapping[str, Any]
    """reports/shift.json."""
    taken: Mapping[str, float]
    """Of images of a kind that are no digits: the share accepted, with a probability above 90 %."""


def read(folder: Path, accuracy: float) -> Outside:
    """What `evaluate` and `shift` have written, and the exported model's answers to what is no digit."""
    calibration, shift = (
        json.loads((folder / f"reports/{name}.json").read_text()) for name in ("calibration", "shift")
    )
    model, test = ExportedModel(folder / "models/model.onnx"), read_raw(folder / "data/raw", "t10k").images
    taken = {}
    for name, images in unfamiliar.sets(test, np.random.default_rng(unfamiliar.SEED)):
        found = model(images)
        taken[name] = float(found.taken.mean())
    return Outside(accuracy, calibration, shift["shift"], taken)


CALIBRATION = (
    *("temperature", "expected calibration error", "maximum", "Brier score", "negative log-likelihood"),
    *("digits refused", "sets: coverage, mean size"),
)


def rows(name: str, found: Sequence[Outside]) -> Iterator[str]:
    """The heading of each table, and the recipe's row: of calibration the first training's, else all."""
    yield _row(["", *CALIBRATION])
    yield _row([f"`{name}`", *_calibration(found[0].calibration)])
    for tables in ([_shift(one) for one in found], [one.taken for one in found]):
        yield _row(["", *tables[0]])
        yield _row([f"`{name}`", *(_shares([table[column] for table in tables]) for column in tables[0])])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _calibration(found: Mapping[str, Any]) -> Iterator[str]:
    before, after = found["before"], found["after"]
    yield f"{found['temperature']:.3f}"
    yield from (f"{before[key]:.4f} → {after[key]:.4f}" for key in before)
    yield f"{found['refused']:.2%}"
    yield f"{found['sets']['coverage']:.2%}, {found['sets']['mean_size']:.2f}"


def _shift(one: Outside) -> dict[str, float]:
    found, letters = one.shift, one.shift["letters"]
    return {
        "test images": one.accuracy,
        "mean over changes": found["mean"],
        **found["collections"],
        "letters above 90 %": letters["sure"],
        "accepted, too": letters["sure_and_accepted"],
    }


def _shares(shares: Sequence[float]) -> str:
    return f"{mean(shares):.2%}" + (f" ± {stdev(shares):.2%}" if len(shares) > 1 else "")
