"""From a drawing to an image as MNIST has it, in the same steps as web/page/prepare.js in the browser.

They are those of the data set (http://yann.lecun.com/exdb/mnist/): the bounding box of the ink is scaled to
20 by 20 pixels, its proportions kept, which makes grey edges; then its centre of mass moves to the centre of
28 by 28 pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE, BOX = 28, 20
TIE = 0.5 + 1e-6
"""Added before rounding down, so that halves go up even where the last bits of a sum say otherwise."""

Stroke = Sequence[float]
"""The corners of a line, x and y in turn."""


@dataclass
class Box:
    """Pieces of ink, by their labels, within these rows and columns, the last ones not included."""

    pieces: list[int]
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def join(self, other: "Box") -> None:
        self.pieces += other.pieces
        self.top, self.bottom = min(self.top, other.top), max(self.bottom, other.bottom)
        self.left, self.right = min(self.left, other.left), max(self.right, other.right)


def rasterize(strokes: Sequence[Stroke], size: int, width: float) -> NDArray[np.uint8]:
    """Grey values [size, size], 0 (paper) to 255, of lines with round ends, `width` pixels wide.

    The centre of the first pixel is at (0.5, 0.5). A pixel's ink falls from all to none while its centre goes
    from half a pixel inside the edge of a line to half a pixel outside. One point is a dot.
    """
    ink = np.zeros((size, size))
    reach = width / 2 + 0.5
    for stroke in strokes:
        corners = np.asarray(stroke, dtype=float).reshape(-1, 2)
        for (x0, y0), (x1, y1) in zip(corners, corners[min(1, len(corners) - 1) :], strict=False):
            left, right = _pixels(x0, x1, reach, size)
            top, bottom = _pixels(y0, y1, reach, size)
            x = np.arange(left, right) + 0.5
            y = (np.arange(top, bottom) + 0.5)[:, None]
            dx, dy = x1 - x0, y1 - y0
            length = dx * dx + dy * dy
            along = np.clip(((x - x0) * dx + (y - y0) * dy) / length, 0, 1) if length else 0.0
            across_x, across_y = x - (x0 + along * dx), y - (y0 + along * dy)
            found = np.clip(reach - np.sqrt(across_x * across_x + across_y * across_y), 0, 1)
            part = ink[top:bottom, left:right]
            np.maximum(part, found, out=part)
    return np.floor(255 * ink + TIE).astype(np.uint8)


def prepare(drawing: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """An image [28, 28] for the model, from grey values [height, width]; None where there is no ink."""
    box = ink_box(drawing)
    if not box.size:
        return None
    height, width = fitted(box, BOX)
    scaled = _resized(box, height, width)
    total = scaled.sum()
    row = _first(float(scaled.sum(axis=1) @ np.arange(height) / total), height)
    column = _first(float(scaled.sum(axis=0) @ np.arange(width) / total), width)
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[row : row + height, column : column + width] = np.floor(scaled + TIE)
    return image


def shrink(drawing: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image [28, 28] of the whole drawing as it lies, without preparation: averages of its areas."""
    return resized(drawing, SIDE, SIDE)


def fitted(drawing: NDArray[np.uint8], side: int) -> tuple[int, int]:
    """Height and width of a drawing whose longer side is made so many pixels long, its proportions kept."""
    longer = max(drawing.shape)
    height, width = (max(1, int(length * side / longer + TIE)) for length in drawing.shape)
    return height, width


def resized(drawing: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Averages of the drawing's areas, [height, width]."""
    return np.floor(_resized(drawing, height, width) + TIE).astype(np.uint8)


def ink_box(drawing: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of a drawing that its ink reaches; without ink, nothing."""
    rows, columns = np.flatnonzero(drawing.any(axis=1)), np.flatnonzero(drawing.any(axis=0))
    if not len(rows):
        return drawing[:0]
    return drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def pieces(drawing: NDArray[np.uint8]) -> tuple[NDArray[np.integer], list[Box]]:
    """The number of the piece of each pixel, 0 for paper, and each piece; pixels touch at corners, too."""
    from scipy import ndimage  # takes long to load, and most have no use for it

    labels, _ = ndimage.label(drawing, structure=np.ones((3, 3)))
    return labels, [
        Box([number], rows.start, rows.stop, columns.start, columns.stop)
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1)
    ]


def _pixels(a: float, b: float, reach: float, size: int) -> tuple[int, int]:
    """The pixels, first and one past the last, that a line from `a` to `b` can touch."""
    return max(0, int(np.floor(min(a, b) - reach))), min(size, int(np.ceil(max(a, b) + reach)))


def _resized(drawing: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = (
        _averages(drawing.shape[0], height) @ drawing @ _averages(drawing.shape[1], width).T
    )
    return scaled


def _averages(source: int, target: int) -> NDArray[np.float64]:
    """[target, source]: each row averages the part of the source that its pixel covers."""
    ratio = source / target
    starts = (np.arange(target) * ratio)[:, None]
    pixels = np.arange(source)
    overlap = np.minimum(starts + ratio, pixels + 1) - np.maximum(starts, pixels)
    shares: NDArray[np.float64] = np.maximum(overlap, 0) / ratio
    return shares


def _first(centre: float, length: int) -> int:
    """Where something of this length begins, so that its centre of mass lies in the middle, and it fits."""
    return int(np.clip(np.floor(SIDE // 2 - centre + TIE), 0, SIDE - length))
