"""Changes that a camera, the light or the weather make: blur, brightness, fog."""

import numpy as np

from digits.page.preparation import SIDE
from digits.shift.grey import INK, Grey, clouds, smoothed, with_margin

Random = np.random.Generator
DIRECTIONS, TAPS = 12, 4
"""Of a motion: how many directions, evenly spread; samples for each pixel of its length."""


def glass_blur(images: Grey, random: Random, distance: float) -> Grey:
    """As through rough glass: each pixel shows one within `distance` along both axes; then a slight blur."""
    reach = int(distance)
    wide = with_margin(images, reach)
    rows, columns = random.integers(0, 2 * reach + 1, (2, *images.shape)) + np.arange(SIDE)
    rows = np.swapaxes(rows, 1, 2)
    return smoothed(wide[np.arange(len(images))[:, None, None], rows, columns], 0.7)


def motion_blur(images: Grey, random: Random, length: float) -> Grey:
    """The mean along a straight line of so many pixels, in one of twelve directions."""
    chosen = random.integers(0, DIRECTIONS, len(images))
    reach = int(np.ceil(length / 2))
    found = np.zeros_like(images)
    for direction in range(DIRECTIONS):
        mine = np.flatnonzero(chosen == direction)
        wide = with_margin(images[mine], reach)
        weights = _line(length, np.pi * direction / DIRECTIONS, reach)
        for row, column in zip(*np.nonzero(weights), strict=True):
            part = wide[:, row : row + SIDE, column : column + SIDE]
            found[mine] += weights[row, column] * part
    return found


def _line(length: float, angle: float, reach: int) -> Grey:
    """What each pixel around has of the line, [2 · reach + 1, 2 · reach + 1], in sum 1."""
    steps = np.linspace(-0.5, 0.5, int(length * TAPS) + 1) * (length - 1)
    weights = np.zeros((2 * reach + 2, 2 * reach + 2))
    # Without the last bits, by which a whole number would or would not be one.
    y, x = np.round(steps * np.sin(angle), 9) + reach, np.round(steps * np.cos(angle), 9) + reach
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = np.abs(1 - down - (y - row)) * np.abs(1 - right - (x - column))
        np.add.at(weights, (row + down, column + right), share)
    found: Grey = weights[:-1, :-1] / weights[:-1, :-1].sum()
    return found


def brightness(images: Grey, random: Random, added: float) -> Grey:
    """Grey values with so many added, all of them: the paper is grey."""
    found: Grey = np.minimum(images + added, INK)
    return found


def fog(images: Grey, random: Random, density: float) -> Grey:
    """Mixed with clouds: one part of image, `density` parts of cloud."""
    cloud = clouds(random, len(images), (14, 7, 3))
    found: Grey = (images + INK * density * cloud) / (1 + density)
    return found
