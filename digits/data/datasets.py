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


def read_raw(folder: Path, prefix: str) -> Dataset:
    """The uint8 images [n, 28, 28] and labels [n] of the two IDX files whose names begin with `prefix`.

    Raises:
        IdxError: a file is truncated or malformed.
        DataError: there is not one label for each image.
    """
    images, labels = folder / f"{prefix}-images-idx3-ubyte", folder / f"{prefix}-labels-idx1-ubyte"
    return Dataset.checked(
        idx.images(images.read_bytes(), str(images)), idx.labels(labels.read_bytes(), str(labels)), prefix
    )


def check_statistics(images: NDArray[np.uint8], mean: float, std: float) -> None:
    """Compare the stated mean and standard deviation with those of `images`, scaled to [0, 1].

    They are stated with four decimals, so they may differ by half a unit of the fourth.
    The moments come from the counts of the 256 grey values, exactly.

    Raises:
        DataError: either differs; the message names the right one.
    """
    pixels = images.reshape(-1)
    # Piece by piece, for bincount makes eight bytes of each.
    pieces = (pixels[start : start + 2**16] for start in range(0, len(pixels), 2**16))
    counts = sum((np.bincount(piece, minlength=256) for piece in pieces), np.zeros(256, np.int64))
    values = np.arange(256) / 255
    true_mean = float(counts @ values / counts.sum())
    true_std = float(np.sqrt(counts @ (values - true_mean) ** 2 / counts.sum()))
    for name, stated, true in (("mean", mean, true_mean), ("std", std, true_std)):
        if abs(stated - true) > 5e-5:
            raise DataError(f"normalize.{name} is {stated}, but that of the training images is {true:.4f}")


def normalize(images: NDArray[np.uint8], mean: float, std: float) -> NDArray[np.float32]:
    """(x/255 - mean)/std as float32 [n, 1, 28, 28], in float32 and this order, as the ONNX graph does."""
    values = images.astype(np.float32)
    values /= np.float32(255)
    values -= np.float32(mean)
    values /= np.float32(std)
    return values.reshape(-1, 1, 28, 28)


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
