import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.photos import DRAWINGS
from digits.page.parts import parts
from digits.page.preparation import rasterize

Boxes = list[tuple[int, int, int, int]]


def drawing(boxes: Boxes) -> NDArray[np.uint8]:
    """A sheet with filled boxes: top, bottom, left, right."""
    sheet = np.zeros((100, 200), np.uint8)
    for number, (top, bottom, left, right) in enumerate(boxes):
        sheet[top:bottom, left:right] = 100 + number
    return sheet


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], []),
        ([(10, 60, 100, 120), (15, 55, 20, 40), (12, 58, 150, 170)], [[1], [0], [2]]),
        ([(60, 95, 10, 30), (5, 40, 60, 80), (8, 44, 12, 30), (61, 92, 62, 80)], [[2], [1], [0], [3]]),
        ([(20, 80, 10, 40), (10, 17, 20, 60)], [[0, 1]]),
        ([(20, 80, 10, 40), (20, 80, 42, 80)], [[0], [1]]),
        ([(20, 50, 10, 40), (54, 84, 12, 38)], [[0, 1]]),
        ([(20, 80, 10, 40), (20, 80, 100, 140), (85, 90, 95, 99)], [[0], [1, 2]]),
        ([(50, 54, 50, 120)], [[0]]),
    ],
    ids=[
        "blank",
        "from left to right",
        "row by row",
        "the bar of a 5",
        "two beside each other",
        "broken in the middle",
        "a dot goes to the nearest",
        "a line alone is not too low",
    ],
)
def test_what_belongs_together(boxes: Boxes, expected: list[list[int]]) -> None:
    sheet = drawing(boxes)
    found = parts(sheet)
    assert [sorted({*part.ravel().tolist()} - {0}) for part in found] == [
        [100 + number for number in group] for group in expected
    ]
    assert np.array_equal(sum(found, np.zeros_like(sheet)), sheet), "all ink is in one part"


def test_pixels_that_touch_at_corners_are_one_piece() -> None:
    sheet = np.zeros((20, 20), np.uint8)
    sheet[:10, :10] = sheet[10:, 10:] = 255
    assert len(parts(sheet)) == 1


def test_a_digit_by_itself_is_one_part_and_two_beside_each_other_are_two() -> None:
    drawn = [rasterize(drawing["strokes"], 280, 24) for drawing in DRAWINGS]
    cut = [number for number, ink in enumerate(drawn) if len(parts(ink)) != 1]
    assert len(cut) <= 1, "a 5 whose bar is as far from it as another digit"
    whole = [ink for number, ink in enumerate(drawn) if number not in cut]
    for left, right in zip(whole[::2], whole[1::2], strict=False):
        found = parts(np.hstack([left, right]))
        assert len(found) == 2
        assert np.array_equal(found[0][:, :280], left)
        assert np.array_equal(found[1][:, 280:], right)
