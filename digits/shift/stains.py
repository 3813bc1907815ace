"""Changes by noise, and by ink and lines that are not part of the digit."""

import numpy as np
from numpy.typing import NDArray

from digits.page.preparation import SIDE
from digits.shift.grey import INK, Grey, clouds

Random = np.random.Generator
FROM, TO = 3.0, SIDE - 4.0
"""Between which heights a line begins and ends, at the image's sides."""
DOT, SPACING = 0.9, 3.0
"""Of a dotted line, in pixels: the dots' radius, and from dot to dot."""
WIDTH, SWING, PERIOD = 1.2, 2.5, 8.0
"""Of a zigzag, in pixels: its pen, how far it swings to either side, and how long a swing is."""


def shot_noise(images: Grey, random: Random, photons: float) -> Grey:
    """As counted from few photons: Poisson's distribution, with so many where there is all ink."""
    counted: Grey = random.poisson(images * (photons / INK)) * (INK / photons)
    return counted


def impulse_noise(images: Grey, random: Random, share: float) -> Grey:
    """So large a share of the pixels is paper or ink, at random."""
    drawn = random.random(images.shape)
    return np.where(drawn < share / 2, 0.0, np.where(drawn < share, INK, images))


def spatter(images: Grey, random: Random, share: float) -> Grey:
    """Blots of ink with soft edges, over so large a share of the image."""
    cloud = clouds(random, len(images), (5, 3))
    place = int(SIDE * SIDE * (1 - share))
    level = np.partition(cloud.reshape(len(images), -1), place, axis=1)[:, place]
    return np.maximum(images, INK * ((cloud - level[:, None, None]) / 0.05 + 0.5).clip(0, 1))


def stripe(images: Grey, random: Random, width: float) -> Grey:
    """Inverted in a stripe of so many pixels, across or upright, through the digit."""
    first = random.integers(7, SIDE - 6 - int(width), (len(images), 1))
    inside = (np.arange(SIDE) >= first) & (np.arange(SIDE) < first + int(width))
    upright = random.integers(0, 2, len(images)) == 1
    where = np.where(upright[:, None, None], inside[:, None], inside[:, :, None])
    return np.where(where, INK - images, images)


def dotted_line(images: Grey, random: Random, lines: float) -> Grey:
    """So many straight lines of dots, from side to side or from top to bottom."""
    found = images
    for _ in range(int(lines)):
        along, across = _line(random, len(images))
        start = random.random((len(images), 1, 1)) * SPACING
        off = np.abs((along + start) % SPACING - SPACING / 2)
        found = _drawn(found, np.sqrt(off * off + across * across), 2 * DOT)
    return found


def zigzag(images: Grey, random: Random, lines: float) -> Grey:
    """So many zigzags, from side to side or from top to bottom."""
    found = images
    for _ in range(int(lines)):
        along, across = _line(random, len(images))
        phase = (along + random.random((len(images), 1, 1)) * PERIOD) % PERIOD
        swing = np.abs(phase - PERIOD / 2) * (4 * SWING / PERIOD) - SWING
        slope = 4 * SWING / PERIOD
        found = _drawn(found, np.abs(across - swing) / np.sqrt(1 + slope * slope), WIDTH)
    return found


def _line(random: Random, count: int) -> tuple[Grey, Grey]:
    """How far each pixel lies along and across random lines, in pixels, [count, 28, 28] each."""
    begins, ends = random.uniform(FROM, TO, (2, count, 1, 1))
    upright = (random.integers(0, 2, count) == 1)[:, None, None]
    steps: NDArray[np.float64] = np.arange(SIDE, dtype=float)
    x, y = np.where(upright, steps[:, None], steps), np.where(upright, steps, steps[:, None])
    dx, dy = SIDE - 1.0, ends - begins
    length = np.sqrt(dx * dx + dy * dy)
    return (x * dx + (y - begins) * dy) / length, ((y - begins) * dx - x * dy) / length


def _drawn(images: Grey, distance: Grey, width: float) -> Grey:
    """With ink up to half of `width` from where the distance is 0, as `preparation.rasterize` draws it."""
    return np.maximum(images, INK * (width / 2 + 0.5 - distance).clip(0, 1))
