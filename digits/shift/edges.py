"""Edges instead of strokes: J. Canny, A Computational Approach to Edge Detection (1986)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.page.preparation import SIDE
from digits.shift.grey import INK, Grey, weighted

Whole = NDArray[np.int64]
STEEPEST = 16 * 4 * 255
"""The largest that both filters below can make of a gradient along one axis."""
LOW, HIGH = (STEEPEST // 10) ** 2, (STEEPEST // 4) ** 2
"""Squared gradients: an edge has HIGH somewhere and LOW everywhere."""
# The tangent of 22.5 degrees, as a fraction.
TANGENT = (5741, 13860)


def canny_edges(images: Grey, random: np.random.Generator, share: float) -> Grey:
    """So large a share of the image is its edges alone; with 1, they are all that is left."""
    return images * (1 - share) + INK * share * edges(images)


def edges(images: Grey) -> NDArray[np.bool_]:
    """Whether a pixel is on an edge, [n, 28, 28]; in whole numbers, so that no rounding decides."""
    grey = images.astype(np.int64)
    smooth = _filtered(_filtered(grey, (1, 2, 1), 1), (1, 2, 1), 2)
    down = _filtered(_filtered(smooth, (-1, 0, 1), 1), (1, 2, 1), 2)
    right = _filtered(_filtered(smooth, (1, 2, 1), 1), (-1, 0, 1), 2)
    square = down * down + right * right
    thin = (square >= LOW) & _is_ridge(square, down, right)
    found = thin & (square >= HIGH)
    while True:
        wide = np.pad(found, ((0, 0), (1, 1), (1, 1)))
        near = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
        grown = thin & (near[:, :, :-2] | near[:, :, 1:-1] | near[:, :, 2:])
        if (grown == found).all():
            return found
        found = grown


def _filtered(grey: Whole, weights: tuple[int, int, int], axis: int) -> Whole:
    """Sums over three neighbours along an axis; outside, the outermost pixel goes on."""
    margin = [(0, 0)] * 3
    margin[axis] = (1, 1)
    return weighted(np.pad(grey, margin, mode="edge"), weights, axis)


def _is_ridge(square: Whole, down: Whole, right: Whole) -> NDArray[np.bool_]:
    """Whether the gradient is the largest along its own direction, of four; of two equal ones, the first."""
    steep, flat = np.abs(down), np.abs(right)
    sideways = steep * TANGENT[1] < flat * TANGENT[0]
    upright = flat * TANGENT[1] < steep * TANGENT[0]
    falling = (down > 0) == (right > 0)
    wide = np.pad(square, ((0, 0), (1, 1), (1, 1)))

    def largest(row: int, column: int) -> Any:
        before = wide[:, 1 - row : SIDE + 1 - row, 1 - column : SIDE + 1 - column]
        after = wide[:, 1 + row : SIDE + 1 + row, 1 + column : SIDE + 1 + column]
        return (square > before) & (square >= after)

    diagonal = np.where(falling, largest(1, 1), largest(1, -1))
    found: NDArray[np.bool_] = np.where(sideways, largest(0, 1), np.where(upright, largest(1, 0), diagonal))
    return found
