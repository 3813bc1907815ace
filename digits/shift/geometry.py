"""Changes of place and shape: images turned, slanted, made smaller, moved."""

import numpy as np
from numpy.typing import NDArray

from digits.page.preparation import SIDE
from digits.shift.grey import Grey, with_margin

Random = np.random.Generator
CENTRE = (SIDE - 1) / 2


def shear(images: Grey, random: Random, amount: float) -> Grey:
    """Slanted to the left or right: `amount` pixels sideways for each pixel up."""
    matrices = np.tile(np.eye(2), (len(images), 1, 1))
    matrices[:, 1, 0] = amount * _signs(random, len(images))
    return _sampled(images, matrices)


def scale(images: Grey, random: Random, factor: float) -> Grey:
    """Made smaller, to this part of the size."""
    matrices = np.tile(np.eye(2) / factor, (len(images), 1, 1))
    return _sampled(images, matrices)


def rotate(images: Grey, random: Random, degrees: float) -> Grey:
    """Turned about the middle, to the left or right."""
    angle = np.radians(degrees) * _signs(random, len(images))
    cos, sin = np.cos(angle), np.sin(angle)
    matrices = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    return _sampled(images, matrices)


def translate(images: Grey, random: Random, pixels: float) -> Grey:
    """Moved by so many pixels up or down, and as many to the left or right."""
    wide = with_margin(images, int(pixels))
    corner = int(pixels) * random.integers(0, 2, (2, len(images), 1)) * 2
    rows, columns = corner + np.arange(SIDE)
    found: Grey = wide[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None]]
    return found


def _signs(random: Random, count: int) -> NDArray[np.floating]:
    return random.integers(0, 2, count) * 2.0 - 1.0


def _sampled(images: Grey, matrices: NDArray[np.floating]) -> Grey:
    """Bilinear values: the pixel at p from the middle shows what lies at `matrix` · p (row, column)."""
    wide = with_margin(images, 1)
    side = wide.shape[1]
    offsets = np.arange(SIDE) - CENTRE
    m, middle = matrices[:, :, :, None, None], CENTRE + 1
    places = [
        np.clip(m[:, axis, 0] * offsets[:, None] + m[:, axis, 1] * offsets + middle, 0, side - 1)
        for axis in (0, 1)
    ]
    (row, below), (column, right) = (
        (first := np.minimum(place.astype(int), side - 2), place - first) for place in places
    )
    at = (np.arange(len(images)) * side * side)[:, None, None] + row * side + column
    flat = wide.ravel()
    upper = flat[at] * (1 - right) + flat[at + 1] * right
    lower = flat[at + side] * (1 - right) + flat[at + side + 1] * right
    found: Grey = upper * (1 - below) + lower * below
    return found
