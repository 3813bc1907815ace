"""Images in files of PNG and JPEG, a folder for each class."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import DigitsError
from digits.common.files import files_below, is_dropping
from digits.data.datasets import Dataset

SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_CLASSES = 256
LARGEST = 10_000
"""Pixels on a side: no image needs more, and a small file can claim any size."""
HOW = "data.images must be a folder with a folder of PNG or JPEG files for each class (docs/data.md)"


class FolderError(DigitsError):
    """A folder does not hold images by class; `str` is one line."""


def read(
    folder: Path, prepare: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> tuple[list[str], Dataset]:
    """The names of the classes, sorted, and all images with their labels, in the order of their paths.

    Args:
        prepare: makes an image [28, 28] of grey values [height, width], 0 black to 255 white; where it raises
            FolderError, its words follow the file's name.

    Raises:
        FolderError: there are fewer than two classes, or one has fewer than two images; a file is no image.
    """
    if not folder.is_dir():
        raise FolderError(f"data.images is {str(folder)!r}, which is no folder; {HOW}")
    inside = sorted(path for path in folder.iterdir() if not is_dropping(path.name))
    if stray := [path.name for path in inside if not path.is_dir()]:
        raise FolderError(f"{folder / stray[0]} belongs to no class; {HOW}")
    if not 2 <= len(inside) <= MOST_CLASSES:
        folders = "1 folder" if len(inside) == 1 else f"{len(inside)} folders"
        raise FolderError(f"{folder} has {folders}, not 2 to {MOST_CLASSES}; {HOW}")
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, place in enumerate(inside):
        files = files_below(place)
        if len(files) < 2:
            count = "1 image" if files else "no image"
            raise FolderError(f"{place} has {count}; one to learn from and one to test is the least")
        for path in files:
            if path.suffix.lower() not in SUFFIXES:
                raise FolderError(f"{path} is no PNG or JPEG file; {HOW}")
            try:
                images.append(prepare(grey_values(path)))
            except FolderError as error:
                raise FolderError(f"{path} {error}") from None
            labels.append(label)
    return [place.name for place in inside], Dataset(np.stack(images), np.array(labels, np.uint8))


def grey_values(path: Path) -> NDArray[np.uint8]:
    """Of an image file, [height, width], 0 black to 255 white; what is transparent is white.

    Raises:
        FolderError: it is no PNG or JPEG file, or not whole; the words follow the file's name.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=("PNG", "JPEG"))
        with image:
            if max(image.size) > LARGEST:
                raise FolderError(f"is {image.width} by {image.height} pixels; {LARGEST} is the most")
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):
                # Pillow would cut 16 bits off at 255 instead of scaling them.
                wide = np.asarray(upright, dtype=np.float64)
                return np.clip(wide / 257 + 0.5, 0, 255).astype(np.uint8)
            if upright.has_transparency_data:
                paper = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(paper, upright.convert("RGBA"))
            return np.asarray(upright.convert("L"))
    except UnidentifiedImageError:
        raise FolderError("is no PNG or JPEG file, whatever its name says") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise FolderError(f"cannot be read: {error.strerror}") from None
        raise FolderError(f"is not whole: {' '.join(str(error).split())}") from None
