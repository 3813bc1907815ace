"""The IDX format of the original MNIST files (http://yann.lecun.com/exdb/mnist/)."""

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import DigitsError


class IdxError(DigitsError):
    """A file is truncated or malformed."""


def parse(content: bytes, name: str) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file, without a copy; `name` is for errors.

    The header is two zero bytes, the type (0x08: unsigned byte), the number of dimensions, then each
    dimension as a big-endian 32-bit integer; the values follow, the last dimension running fastest.

    Raises:
        IdxError: the header is not that of unsigned bytes, or the length is not what it says.
    """
    if len(content) < 4:
        raise IdxError(f"{name}: {len(content)} bytes are too few for an IDX header; download it again")
    if content[:3] != b"\0\0\x08":
        raise IdxError(f"{name}: begins with {content[:4].hex(' ')}, not with 00 00 08 (IDX, unsigned bytes)")
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise IdxError(f"{name}: ends inside its header, which says {content[3]} dimensions")
    shape = np.frombuffer(content, ">u4", content[3], offset=4).astype(int).tolist()
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise IdxError(f"{name}: has {len(content):,} bytes, but its header {shape} needs {expected:,}")
    try:
        return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
    except ValueError as error:  # more dimensions than numpy has, or an empty array with a huge one
        raise IdxError(f"{name}: its header {shape} is that of no array: {error}") from None


def images(content: bytes, name: str) -> NDArray[np.uint8]:
    """Grey values 0 (paper) to 255 (ink), [n, 28, 28]. Raises IdxError, as `parse`."""
    array = parse(content, name)
    if array.ndim != 3 or array.shape[1:] != (28, 28) or not len(array):
        raise IdxError(f"{name}: has the shape {list(array.shape)}, not that of images, [n, 28, 28]")
    return array


def labels(content: bytes, name: str, classes: int = 10) -> NDArray[np.uint8]:
    """Classes from 0 on, [n], all below `classes`. Raises IdxError, as `parse`."""
    array = parse(content, name)
    if array.ndim != 1 or not len(array):
        raise IdxError(f"{name}: has the shape {list(array.shape)}, not that of labels, [n]")
    if array.max() >= classes:
        found = f"the label {array.max()} at {int(array.argmax())}"
        raise IdxError(f"{name}: has {found}; the {classes} classes end at {classes - 1}")
    return array


def write(array: NDArray[np.uint8]) -> bytes:
    """The content of an IDX file that `parse` reads as this array."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + np.ascontiguousarray(array).tobytes()
