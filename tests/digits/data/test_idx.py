import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.data.idx import IdxError, images, labels, parse


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


PICTURES = (np.arange(3 * 28 * 28) % 251).astype(np.uint8).reshape(3, 28, 28)


def test_the_array_is_that_of_the_file() -> None:
    np.testing.assert_array_equal(images(idx(PICTURES), "x"), PICTURES)
    assert labels(idx(np.array([3, 0, 9], np.uint8)), "x").tolist() == [3, 0, 9]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are too few"),
        (b"\0\0\x08", "3 bytes are too few"),
        (b"\x1f\x8b\x08\x00rest", "begins with 1f 8b 08 00"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "begins with 00 00 0d 01"),
        (b"\0\0\x08\x03\0\0\0\x01", "ends inside its header, which says 3 dimensions"),
        (idx(PICTURES)[:-1], r"has 2,367 bytes, but its header \[3, 28, 28\] needs 2,368"),
        (idx(PICTURES) + b"\0", "has 2,369 bytes"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "needs 79,2"),
    ],
)
def test_a_malformed_file_is_named_with_its_fault(content: bytes, message: str) -> None:
    with pytest.raises(IdxError, match=f"^some/file: .*{message}"):
        parse(content, "some/file")


@pytest.mark.parametrize("shape", [(3, 28, 27), (3, 784), (0, 28, 28)])
def test_images_have_the_shape_of_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(IdxError, match="not that of images"):
        images(idx(np.zeros(shape, np.uint8)), "x")


def test_labels_are_digits_in_a_row() -> None:
    with pytest.raises(IdxError, match="has the label 10 at 1; the 10 classes end at 9"):
        labels(idx(np.array([1, 10], np.uint8)), "x")
    assert labels(idx(np.array([1, 10], np.uint8)), "x", classes=11).tolist() == [1, 10]
    for shape in ((2, 2), (0,)):
        with pytest.raises(IdxError, match="not that of labels"):
            labels(idx(np.zeros(shape, np.uint8)), "x")
