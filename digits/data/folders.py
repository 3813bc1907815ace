"""Images in files of PNG and JPEG, a folder for each class."""

import os
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import DigitsError
from digits.common.files import files_below, is_dropping
from digits.common.text import LONGEST_MESSAGE, cut
from digits.data.datasets import Dataset

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_CLASSES = 256
LARGEST, MOST_PIXELS = 10_000, 50_000_000
"""Pixels on a side, and in all: no image needs more, and a small file can claim any size."""
STRIP = 64
"""Rows of pixels that are made grey at once."""
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
    names = _class_names(folder)
    if not 2 <= len(names) <= MOST_CLASSES:
        count = "1 folder" if len(names) == 1 else f"{len(names)} folders"
        raise FolderError(f"{folder} has {count}, not 2 to {MOST_CLASSES}; {HOW}")
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        files = files_below(folder / name)
        if len(files) < 2:
            count = "1 image" if files else "no image"
            raise FolderError(f"{folder / name} has {count}; one to learn from and one to test is the least")
        for path in files:
            if path.suffix.lower() not in SUFFIXES:
                raise FolderError(f"{_shown(path)} is no PNG or JPEG file; {HOW}")
            try:
                images.append(prepare(grey_values(path)))
            except FolderError as error:
                raise FolderError(f"{_shown(path)} {error}") from None
            labels.append(label)
    return names, Dataset(np.stack(images), np.array(labels, np.uint8))


def _class_names(folder: Path) -> list[str]:
    """Of the folders in it, sorted.

    Raises:
        FolderError: something else is there, or one has a name that neither a terminal nor a text can show.
    """
    names = sorted(path.name for path in folder.iterdir() if not is_dropping(path.name))
    for name in names:
        if not (folder / name).is_dir():
            raise FolderError(f"{_shown(folder / name)} belongs to no class; {HOW}")
        # What is no UTF-8 comes as characters that are not printable either; of spaces, all are meant.
        if any(not each.isprintable() and unicodedata.category(each) != "Zs" for each in name):
            raise FolderError(
                f"{_shown(folder / name)} has characters in its name that cannot be shown; rename it"
            )
    return names


def _shown(path: Path) -> str:
    return cut(str(path), LONGEST_MESSAGE)


def grey_values(path: Path) -> NDArray[np.uint8]:
    """Of an image file, [height, width], 0 black to 255 white; what is transparent is white.

    Raises:
        FolderError: it is no PNG or JPEG file, or not whole; the words follow the file's name.
    """
    from PIL import Image, UnidentifiedImageError

    if os.path.lexists(path) and not path.is_file():
        raise FolderError("is no regular file, nor a link to one")  # to open a pipe is to wait for its writer
    try:
        with warnings.catch_warnings():
            # Of what is too large we have words of our own, and the rest says nothing of the picture.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                if max(image.size) > LARGEST:
                    raise FolderError(f"is {image.width} by {image.height} pixels; {LARGEST} is the most")
                if image.width * image.height > MOST_PIXELS:
                    raise FolderError(
                        f"is {image.width} by {image.height} pixels; {MOST_PIXELS:,} in all are the most"
                    )
                image.load()
                return _grey(_upright(image))
    except (FolderError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise FolderError("is no PNG or JPEG file, whatever its name says") from None
    except Image.DecompressionBombError as error:
        raise FolderError(f"is too large: {error}") from None
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise FolderError(f"cannot be read: {error.strerror}") from None
        # struct.error, TypeError, IndexError: what Pillow's many decoders stumble over is nowhere listed.
        cause = " ".join(str(error).split()) or type(error).__name__
        raise FolderError(f"is not whole: {cut(cause)}") from None


def _upright(image: "Image.Image") -> "Image.Image":
    """As its camera was held; what else a camera wrote, and whether that can be read, is of no matter."""
    from PIL import ExifTags, Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as wide as for the picture itself
        return image
    return image if turn is None else image.transpose(turn)


def _grey(image: "Image.Image") -> NDArray[np.uint8]:
    """Strip by strip: what is made on the way takes many times the memory of the result."""
    found = np.empty((image.height, image.width), np.uint8)
    for top in range(0, image.height, STRIP):
        found[top : top + STRIP] = _grey_strip(
            image.crop((0, top, image.width, min(top + STRIP, image.height)))
        )
    return found


def _grey_strip(strip: "Image.Image") -> NDArray[np.uint8]:
    from PIL import Image

    if strip.mode.startswith("I;16") or strip.mode in ("I", "F"):
        # Pillow would cut 16 bits off at 255 instead of scaling them.
        wide = np.asarray(strip, dtype=np.float64)
        return np.clip(wide / 257 + 0.5, 0, 255).astype(np.uint8)
    if strip.has_transparency_data:
        paper = Image.new("RGBA", strip.size, "white")
        strip = Image.alpha_composite(paper, strip.convert("RGBA"))
    return np.asarray(strip.convert("L"))
