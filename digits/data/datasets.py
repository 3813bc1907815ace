"""Data sets: raw images with labels, normalized, split, and as safetensors files."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import DigitsError
from digits.data import idx


class DataError(DigitsError):
    """The data is not what the parameters say."""


class Dataset(NamedTuple):
    """Raw grey values [n, 28, 28] with their labels [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @classmethod
    def checked(cls, images: NDArray[np.uint8], labels: NDArray[np.uint8], name: str) -> "Dataset":
        """Raises DataError where there is not one label for each image."""
        if len(images) != len(labels):
            raise DataError(
                f"{name}: {len(images):,} images, but {len(labels):,} labels; download them again"
            )
        return cls(images, labels)

    def subset(self, indices: NDArray[np.integer]) -> "Dataset":
        return Dataset(self.images[indices], self.labels[indices])


def file_names(prefix: str) -> tuple[str, str]:
    """The files of images and of labels whose names begin with `prefix`."""
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def read_raw(folder: Path, prefix: str, classes: int = 10) -> Dataset:
    """The uint8 images [n, 28, 28] and labels [n] of the two IDX files whose names begin with `prefix`.

    Raises:
        IdxError: a file is truncated or malformed, or has a label that is not below `classes`.
        DataError: there is not one label for each image.
    """
    images, labels = (folder / name for name in file_names(prefix))
    return Dataset.checked(
        idx.images(images.read_bytes(), str(images)),
        idx.labels(labels.read_bytes(), str(labels), classes),
        prefix,
    )


def statistics(images: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation of the grey values of `images`, scaled to [0, 1].

    They come from the counts of the 256 grey values, exactly.
    """
    pixels = images.reshape(-1)
    # Piece by piece, for bincount makes eight bytes of each.
    pieces = (pixels[start : start + 2**16] for start in range(0, len(pixels), 2**16))
    counts = sum((np.bincount(piece, minlength=256) for piece in pieces), np.zeros(256, np.int64))
    values = np.arange(256) / 255
    mean = float(counts @ values / counts.sum())
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))


def checked_statistics(
    images: NDArray[np.uint8], stated: tuple[float | None, float | None], where: str = "normalize."
) -> tuple[float, float]:
    """The stated mean and standard deviation, or where None is stated the true one with four decimals.

    They are stated with four decimals, so they may differ from the true ones by half a unit of the fourth.

    Args:
        where: what states them, for the message.

    Raises:
        DataError: either differs, and the message names the right one; or all images are equally grey.
    """
    found = []
    for name, value, true in zip(("mean", "std"), stated, statistics(images), strict=True):
        if value is not None and abs(value - true) > 5e-5:
            raise DataError(f"{where}{name} is {value}, but that of the training images is {true:.4f}")
        found.append(round(true, 4) if value is None else value)
    if not found[1]:
        raise DataError("all training images are equally grey; there is nothing to learn from them")
    return found[0], found[1]


def normalize(images: NDArray[np.uint8], mean: float, std: float) -> NDArray[np.float32]:
    """(x/255 - mean)/std as float32 [n, 1, 28, 28], in float32 and this order, as the ONNX graph does."""
    values = images.astype(np.float32)
    values /= np.float32(255)
    values -= np.float32(mean)
    values /= np.float32(std)
    return values.reshape(-1, 1, 28, 28)


def evenly(count: int, wanted: int) -> NDArray[np.int64]:
    """`wanted` of the numbers below `count`, or all of them, evenly spread."""
    return np.linspace(0, count - 1, min(wanted, count)).round().astype(np.int64)


def split(data: Dataset, size: int, seed: int) -> tuple[Dataset, Dataset]:
    """(training, validation): `size` examples drawn with `seed` are set aside; both keep the original order.

    Raises:
        DataError: nothing would be left to train on.
    """
    total = len(data.labels)
    if size >= total:
        raise DataError(f"normalize.validation_size is {size:,}; there are only {total:,} training images")
    if size == 0:
        return data, data.subset(np.arange(0))
    chosen = np.zeros(total, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(total)[:size]] = True
    return data.subset(np.flatnonzero(~chosen)), data.subset(np.flatnonzero(chosen))


def to_tensors(data: Dataset, mean: float, std: float) -> dict[str, NDArray[Any]]:
    """The tensors of a data file: normalized `images`, int64 `labels`, float64 `mean` and `std`."""
    return {
        "images": normalize(data.images, mean, std),
        "labels": data.labels.astype(np.int64),
        "mean": np.array([mean]),
        "std": np.array([std]),
    }
