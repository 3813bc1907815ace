"""How far answers hold: on test images, on these changed, on digits from elsewhere, on letters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digits.common.about import DIGITS, About
from digits.common.errors import DigitsError
from digits.data.datasets import Dataset, evenly
from digits.shift import sources
from digits.shift.answers import Answers
from digits.shift.changes import CHANGES, SEVERITIES, changed
from digits.shift.sections import COLLECTIONS, MEAN, Shift

SAMPLES = 9
"""Images of a row that a picture may show."""
TEST, LETTERS = "test_images", "letters"
Ask = Callable[[NDArray[np.uint8]], Answers]


class ShiftError(DigitsError):
    """The model is worse outside the test set than it may be."""


class Row(NamedTuple):
    """What a model answers on some images. Shares are from 0 to 1."""

    kind: str
    """`test`, `change`, `collection` or `letters`."""
    name: str
    severity: int | None
    """Of a change: 1, 2 or 3."""
    images: int
    accuracy: float | None
    """Share that is right, refused or not; None for letters."""
    probability: float
    """Mean of the answers' probabilities."""
    sure: float
    """Share with a probability above 0.9, refused or not."""
    refused: float
    """Share that is refused as unlike the training images."""
    sure_and_wrong: float
    """Share that is not refused, with a wrong answer above 0.9; every answer to a letter is wrong."""
    samples: NDArray[np.uint8]
    """At most nine of the images, [s, 28, 28], evenly spread."""

    @property
    def what(self) -> str:
        """Its name with the severity, for plots."""
        return self.name if self.severity is None else f"{self.name} {self.severity}"

    @property
    def figures(self) -> dict[str, object]:
        """All but the samples."""
        return {key: value for key, value in self._asdict().items() if key != "samples"}


def measure(ask: Ask, test: Dataset, about: About, values: Shift) -> Iterator[Row]:
    """The rows of the report, in the order of the table.

    Args:
        ask: the model.
        test: test images, of which `values.images` are taken, evenly spread.
        about: what they are; the collections and the letters are for ten digits alone.
    """
    chosen = evenly(len(test.images), values.images)
    images, labels = test.images[chosen], test.labels[chosen].astype(np.int64)
    yield _row("test", TEST, images, labels, ask)
    for name in CHANGES:
        for severity in SEVERITIES:
            yield _row("change", name, changed(images, name, severity, values.seed), labels, ask, severity)
    if not of_digits(about):
        return
    for name in COLLECTIONS:
        found = sources.collection(name, values.seed, about.prepared)
        yield _row("collection", name, found.images, found.labels, ask)
    yield _row("letters", LETTERS, sources.letters(about.prepared), None, ask)


def of_digits(about: About) -> bool:
    """Whether the classes are the ten digits in their order."""
    return about.classes == DIGITS


def _row(
    kind: str,
    name: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    ask: Ask,
    severity: int | None = None,
) -> Row:
    answers = ask(images)
    right = np.zeros(len(images), bool) if labels is None else answers.classes == labels
    return Row(
        kind,
        name,
        severity,
        len(images),
        None if labels is None else float(right.mean()),
        float(answers.probabilities.mean(dtype=np.float64)),
        float(answers.sure.mean()),
        float((~answers.accepted).mean()),
        float((answers.taken & ~right).mean()),
        images[evenly(len(images), SAMPLES)],
    )


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Accuracies: of a change, the mean over its severities; `mean` is that over all changes."""
    (test,) = (row for row in rows if row.kind == "test")
    changes = {name: _mean(row for row in rows if row.name == name) for name in CHANGES}
    found: dict[str, Any] = {
        "images": test.images,
        TEST: test.accuracy,
        MEAN: _mean(row for row in rows if row.kind == "change"),
        "changes": changes,
        "collections": {row.name: row.accuracy for row in rows if row.kind == "collection"},
    }
    for row in rows:
        if row.kind == "letters":
            found[LETTERS] = {"sure": row.sure, "sure_and_accepted": row.sure_and_wrong}
    return found


def _mean(rows: Iterator[Row]) -> float:
    return round(float(np.mean([row.accuracy for row in rows])), 6)


def check(found: Mapping[str, Any], min_accuracy: Mapping[str, float]) -> None:
    """Raises ShiftError: an accuracy of a summary is below its minimum, or not measured; a line for each."""
    accuracies = {MEAN: found[MEAN], **found["changes"], **found["collections"]}
    faults = [
        f"shift.min_accuracy asks for {least:.2%} of {name}, which is "
        + (
            f"{accuracies[name]:.2%}"
            if name in accuracies
            else "not measured: the classes are not ten digits"
        )
        for name, least in min_accuracy.items()
        if not accuracies.get(name, -1.0) >= least
    ]
    if faults:
        raise ShiftError("\n".join(faults))
