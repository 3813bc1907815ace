"""JavaScript and Python find the same ink in a picture, byte for byte, and the same digits in the ink."""

import base64

import numpy as np

from benchmarks.photos import DRAWINGS, grey_values, photo
from digits.page.parts import parts
from digits.page.photo import sheet
from digits.page.preparation import prepare
from tests.web.test_prepare import in_node

SIZES = ((200, 300), (700, 900), (120, 160))


def test_pictures_become_the_same_bytes() -> None:
    random = np.random.default_rng(9)
    pictures = []
    for number, size in enumerate(SIZES * 3):
        chosen = random.integers(0, len(DRAWINGS), 1 + number % 2)
        drawings = [DRAWINGS[at] for at in chosen]
        pictures.append(grey_values(photo(drawings, random, size, table=number % 4 == 3)))
    small = np.zeros((28, 28), np.uint8)
    small[4:24, 12:16] = 255
    noise = random.integers(0, 256, (90, 70), dtype=np.uint8)
    pictures += [
        255 - pictures[0],
        255 - pictures[3],
        small,
        noise,
        np.full((50, 60), 200, np.uint8),
        np.zeros((3, 1), np.uint8),
    ]
    asked = [{"grey": base64.b64encode(grey.tobytes()).decode(), "width": grey.shape[1]} for grey in pictures]
    found = in_node("photo.mjs", asked).tobytes()
    expected = b""
    for grey in pictures:
        ink = sheet(grey)
        digits = [] if ink is None else [prepare(part) for part in parts(ink)]
        expected += bytes([len(digits)]) + (np.zeros((280, 280), np.uint8) if ink is None else ink).tobytes()
        expected += b"".join(digit.tobytes() for digit in digits if digit is not None)
    assert found == expected
