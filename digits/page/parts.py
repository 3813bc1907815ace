"""The digits of a drawing, one by one, in the same steps as web/page/parts.js in the browser.

What is connected is one piece of ink. Pieces above one another, such as the bar of a 5 that does not touch
its body, and pieces too small to be a digit belong to a neighbour. Digits that touch stay one part.
"""

import numpy as np
from numpy.typing import NDArray

from digits.page.preparation import Box, pieces

SMALL = 0.35
"""A piece whose height is below this share of the tallest piece's is no digit by itself."""
OVERLAP = 0.5
"""Pieces belong together where they share this part of the narrower one's width, and are near each other: """
GAP = 0.2
"""the paper between them is below this share of the higher one's height."""


def parts(drawing: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Drawings [height, width] of a part each, from grey values [height, width], in the order of reading.

    That is row by row, and from left to right. There are none where there is no ink.
    """
    labels, boxes = pieces(drawing)
    found = _reading_order(_joined(boxes))
    return [np.where(np.isin(labels, box.pieces), drawing, np.uint8(0)) for box in found]


def _joined(boxes: list[Box]) -> list[Box]:
    """Boxes that are digits by their size and place, each with what belongs to it."""
    tallest = max((box.height for box in boxes), default=0)
    large = [box for box in boxes if box.height >= SMALL * tallest]
    small = [box for box in boxes if box.height < SMALL * tallest]
    large.sort(key=lambda box: (box.left, box.top))
    found: list[Box] = []
    for box in large:
        while near := next((other for other in found if _belong_together(box, other)), None):
            found.remove(near)
            box.join(near)
        found.append(box)
    for box in small:
        min(found, key=lambda other: _distance(box, other)).join(box)
    return found


def _belong_together(a: Box, b: Box) -> bool:
    shared = min(a.right, b.right) - max(a.left, b.left)
    between = max(a.top, b.top) - min(a.bottom, b.bottom)
    return shared > OVERLAP * min(a.width, b.width) and between < GAP * max(a.height, b.height)


def _distance(a: Box, b: Box) -> tuple[int, int]:
    """The square of the distance of the nearest pixels, and where two are as near, the left one first."""
    across = max(0, a.left - b.right, b.left - a.right)
    down = max(0, a.top - b.bottom, b.top - a.bottom)
    return across * across + down * down, b.left


def _reading_order(boxes: list[Box]) -> list[Box]:
    """A row has the boxes whose middle lies between the top and the bottom of its first one."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: (box.top + box.bottom, box.left)):
        middle = box.top + box.bottom
        row = next((row for row in rows if 2 * row[0].top <= middle < 2 * row[0].bottom), None)
        if row is None:
            rows.append([box])
        else:
            row.append(box)
    return [box for row in rows for box in sorted(row, key=lambda box: box.left)]
