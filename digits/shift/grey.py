"""What the changes share: grey values, rounding, smoothing."""

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from digits.page.preparation import SIDE, TIE

Grey = NDArray[np.floating]
"""Images [n, 28, 28], 0 (paper) to 255 (ink)."""
INK = 255.0
N = TypeVar("N", np.floating, np.int64)


def rounded(images: Grey) -> NDArray[np.uint8]:
    """Whole grey values; halves go up even where the last bits of a sum say otherwise."""
    found: NDArray[np.uint8] = np.floor(images.clip(0, INK) + TIE).astype(np.uint8)
    return found


def with_margin(images: Grey, margin: int) -> Grey:
    """The images with paper around them, [n, 28 + 2 · margin, 28 + 2 · margin]."""
    return np.pad(images, ((0, 0), (margin, margin), (margin, margin)))


def smoothed(images: Grey, sigma: float) -> Grey:
    """Blurred by a Gaussian with this standard deviation in pixels; outside lies paper."""
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma * sigma))
    wide = with_margin(images, reach)
    # By slices: unlike a matrix product, a sum in this order is the same on every CPU.
    for axis in (1, 2):
        wide = weighted(wide, weights / weights.sum(), axis)
    return wide


def weighted(wide: NDArray[N], weights: Iterable[float], axis: int) -> NDArray[N]:
    """Sums over neighbours along an axis, which loses its margin: [n, 28, …]."""
    along: Any = np.moveaxis(wide, axis, 0)
    total = sum(along[k : k + SIDE] * weight for k, weight in enumerate(weights))
    found: NDArray[N] = np.moveaxis(total, 0, axis)
    return found


def clouds(random: np.random.Generator, count: int, periods: tuple[int, ...]) -> Grey:
    """Smooth random values [count, 28, 28], 0 to 1, from lattices of these periods in pixels.

    Each lattice counts half as much as the one before.
    """
    total = np.zeros((count, SIDE, SIDE))
    for octave, period in enumerate(periods):
        nodes = SIDE // period + 2
        lattice = random.random((count, nodes, nodes))
        place = np.arange(SIDE) / period
        first = place.astype(int)
        part = place - first
        rows = lattice[:, first] * (1 - part)[:, None] + lattice[:, first + 1] * part[:, None]
        total += (rows[:, :, first] * (1 - part) + rows[:, :, first + 1] * part) * 0.5**octave
    low, high = total.min(axis=(1, 2), keepdims=True), total.max(axis=(1, 2), keepdims=True)
    found: Grey = (total - low) / (high - low)
    return found
