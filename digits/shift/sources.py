"""Digits that do not come from the data set, as images for the model; and letters, which are no digits."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digits.page.preparation import prepare, shrink
from digits.shift import printed, strokes
from digits.shift.grey import INK, rounded

OTHER_WRITERS = Path(__file__).with_name("other_writers.csv.gz")
"""The test half of E. Alpaydin and C. Kaynak's optical digits (1998; UCI, CC BY 4.0).

One image of 8 by 8 a line, 0 (paper) to 16, then its digit: scikit-learn's `digits.csv.gz`, as it is.
"""


class Collection(NamedTuple):
    """Images uint8 [n, 28, 28] with their digits [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def collection(name: str, seed: int, prepared: bool = True) -> Collection:
    """A collection of this name, one of `sections.COLLECTIONS`.

    Args:
        seed: of what is drawn in many hands.
        prepared: scale and centre the ink as the page does; otherwise each sheet is taken whole.
    """
    sheets: Iterable[NDArray[np.uint8]]
    if name == "drawings":
        sheets, labels = strokes.drawings()
    elif name == "other_writers":
        sheets, labels = other_writers()
    elif name == "printed":
        sheets = printed.printed(printed.DIGITS)
        labels = [int(digit) for digit in printed.DIGITS for _ in printed.FACES]
    else:
        random = np.random.default_rng([seed, *name.encode()])
        sheets = strokes.forms(name, random)
        labels = [strokes.FORMS[name][0]] * len(sheets)
    return Collection(to_images(sheets, prepared), np.array(labels))


def letters(prepared: bool = True) -> NDArray[np.uint8]:
    """Printed letters, as images [n, 28, 28]."""
    return to_images(printed.printed(printed.LETTERS), prepared)


def to_images(sheets: Iterable[NDArray[np.uint8]], prepared: bool = True) -> NDArray[np.uint8]:
    """Sheets [height, width] as images [n, 28, 28]; a blank one that is to be `prepared` is left out."""
    found = (prepare(sheet) if prepared else shrink(sheet) for sheet in sheets)
    return np.stack([image for image in found if image is not None])


def other_writers() -> tuple[list[NDArray[np.uint8]], list[int]]:
    """The digits of thirteen writers, as grey values [8, 8] each; and which they are."""
    with gzip.open(OTHER_WRITERS, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    return list(rounded(table[:, :-1].reshape(-1, 8, 8) * (INK / 16))), table[:, -1].tolist()
