"""A user's own images: a folder of PNG or JPEG files for each class."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from digits.common.about import About
from digits.common.numbers import NonNegativeInt
from digits.data import folders, idx
from digits.data.data_set import DataSet, MinAccuracy, Wanted, write
from digits.data.datasets import Dataset, file_names, split
from digits.data.raw import TEST, TRAIN
from digits.page import preparation

FAINT = 25
"""Of 255 steps from paper to ink: what compression leaves on white."""


class Folder(DataSet):
    """Images below `data.images`, split with a seed; the folders' names are those of the classes."""

    prepare: Annotated[
        Literal["photo", "drawing", "none"],
        Field(description="find the ink as the page does in pictures, take all of it, or the whole image"),
    ]
    ink: Annotated[Literal["dark", "light"], Field(description="on paper that is light, or dark")]
    test_share: Annotated[float, Field(gt=0, lt=1)]
    seed: NonNegativeInt
    min_accuracy: MinAccuracy
    coverage: Annotated[float, Field(ge=0.5, lt=1, description="instead of calibrate.coverage")]

    title = "own images"
    thing = "an image of these classes"
    license = "not stated"

    def fetch(self, wanted: Wanted, folder: Path, kept: Path, log: Callable[[str], None] = print) -> About:
        """See `DataSet.fetch`; nothing comes over the network.

        Raises:
            FolderError: there are no such folders, or a file in them is no image; one line.
        """
        source = Path(wanted.data.images)
        classes, found = folders.read(source, self._image)
        for prefix, data in zip((TRAIN, TEST), self._split(found, len(classes)), strict=True):
            for name, array in zip(file_names(prefix), data, strict=True):
                write(folder / name, idx.write(array))
        counts = np.bincount(found.labels, minlength=len(classes)).tolist()
        log(f"{source}: " + ", ".join(f"{n} of {name}" for name, n in zip(classes, counts, strict=True)))
        return self.about(wanted.data.set, folder, classes=classes, prepared=self.prepare != "none")

    def _image(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image [28, 28], ink high, of grey values [height, width]."""
        drawing = 255 - grey if self.ink == "dark" else grey
        if self.prepare == "none":
            return preparation.shrink(drawing)
        if self.prepare == "photo":
            drawing = _found(drawing)
        elif np.median(np.concatenate([*drawing[[0, -1]], *drawing[:, [0, -1]].T])) > FAINT:
            raise folders.FolderError(
                "lies on no clean paper, all of it would be ink; sets.folder.prepare: photo finds what is"
            )
        prepared = preparation.prepare(drawing)
        if prepared is None:
            raise folders.FolderError("is blank; with sets.folder.prepare, there must be ink to centre")
        return prepared

    def _split(self, data: Dataset, classes: int) -> tuple[Dataset, Dataset]:
        """(training, test): of each class its share, at least one image."""
        parts = [], []  # type: tuple[list[Dataset], list[Dataset]]
        for index in range(classes):
            own = data.subset(np.flatnonzero(data.labels == index))
            size = max(1, round(self.test_share * len(own.labels)))
            for part, chosen in zip(parts, split(own, size, self.seed + index), strict=True):
                part.append(chosen)
        training, test = (Dataset(*map(np.concatenate, zip(*part, strict=True))) for part in parts)
        return training, test


def _found(drawing: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from digits.page import photo  # loads SciPy, which other sets have no use for

    found = photo.sheet(255 - drawing)
    if found is None:
        raise folders.FolderError(
            "has no lines that stand out from its paper; sets.folder.prepare: drawing takes all that is not "
            "white, none the whole image"
        )
    return found
