"""From a photo of handwriting to a drawing, in the same steps as web/page/photo.js in the browser.

Paper is never evenly lit: there are lamps, shadows, folds. The paper behind the ink is found by a
morphological closing (Serra 1982), which fills what is dark and narrow and leaves the edges of shadows and of
dark tables where they are. As light multiplies, ink is a share of that paper's brightness; Otsu's threshold
(1979) tells it from what is left of shadows.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from digits.page.preparation import TIE, Box, fitted, ink_box, pieces, resized

LARGEST = 640
"""Pixels on the longer side with which the ink is looked for."""
SHEET, MARGIN = 280, 20
"""Pixels of the sheet that the ink is laid on, and of the paper around it."""
WINDOW = 6
"""Lines are thinner than this part of the longer side."""
FAINTEST = 40
"""Ink must be darker than paper by as many of 255 steps: less is a shadow, or the grain of the paper."""
DIM = 3
"""Paper that is dimmer than this part of the brightest counts as if it were not: it may be a table's wood."""
GRAIN = 24
"""Nor does paper count as dimmer than so many times its grain, which would look like ink."""
CLEAR = 8
"""Ink must be darker than paper by as many times the grain, else it is some."""
SPECK = 0.15
"""A piece with a longer side below this share of the longest one is dirt."""
SMALLEST = 30
"""Where no piece is longer than this part of the picture's longer side, all is grain."""


def sheet(grey: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """A drawing [280, 280], 0 (paper) to 255, from grey values [height, width], 0 black to 255 white.

    Dark ink on light paper, or light on dark where what is rare is light. The ink fills the sheet but for a
    margin, its proportions kept. None where nothing stands out from the paper.
    """
    ink = _ink(_smaller(grey))
    if ink is None:
        return None
    box = ink_box(ink)
    height, width = fitted(box, SHEET - 2 * MARGIN)
    top, left = (SHEET - height) // 2, (SHEET - width) // 2
    found = np.zeros((SHEET, SHEET), np.uint8)
    found[top : top + height, left : left + width] = resized(box, height, width)
    return found


def _smaller(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return grey if max(grey.shape) <= LARGEST else resized(grey, *fitted(grey, LARGEST))


def _ink(grey: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Grey values of the ink alone, of the same shape: half at its edge, all some way inside."""
    dark = _darkness(grey)
    counts = np.bincount(dark.ravel(), minlength=256)
    grain = _quantile(counts, 0.75)
    level = _level(counts, grain)
    if level < max(FAINTEST, CLEAR * grain):
        return None
    # From a quarter of the level, no ink, to three quarters, all of it.
    ink = np.floor(np.clip((4 * dark.astype(float) - level) / (2 * level), 0, 1) * 255 + TIE).astype(np.uint8)
    labels, boxes = pieces(ink)
    kept = [box.pieces[0] for box in _writing(boxes, labels, ink)]
    return np.where(np.isin(labels, kept), ink, np.uint8(0)) if kept else None


def _darkness(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """By how much a pixel is darker than the paper around it, in 255ths of the paper's brightness.

    Where ink is brighter than paper, they change places first.
    """
    window = max(3, max(grey.shape) // WINDOW) | 1
    inverted = 255 - grey
    closed, closed_inverted = _closed(grey, window), _closed(inverted, window)
    if _is_light_on_dark(grey, closed, 255 - closed_inverted, window):
        grey, closed = inverted, closed_inverted
    # Of grainy paper, the closing is the brightest grains.
    below = np.bincount((closed - grey).ravel(), minlength=256)
    usual = _quantile(below, 0.5)
    grain = max(1, _quantile(below, 0.75) - usual)
    paper = np.maximum(0, closed.astype(np.int64) - usual)
    brightest = _quantile(np.bincount(paper.ravel(), minlength=256), 0.9)
    least = max(GRAIN * grain, brightest // DIM)
    return np.floor(255 * (np.maximum(0, paper - grey) / np.maximum(least, paper)) + TIE).astype(np.uint8)


def _is_light_on_dark(
    grey: NDArray[np.uint8], closed: NDArray[np.uint8], opened: NDArray[np.uint8], window: int
) -> bool:
    """Whether the bright pixels are the rarer ones.

    Only near what is narrow, as an edge of a shadow or of a table has two sides, and neither is ink. There,
    the middle between the lightest and the darkest tells which pixels are bright.
    """
    contrast = closed.astype(np.int64) - opened
    narrow = (4 * contrast >= contrast.max()).astype(np.int64)
    reach = 2 * ((window + 2) // 3) + 1
    middles, count = narrow * (closed.astype(np.int64) + opened), narrow
    for axis in (0, 1):
        middles, count = _sums(middles, reach, axis), _sums(count, reach, axis)
    return int(np.sign(2 * grey.astype(np.int64) * count - middles).sum()) < 0


def _sums(values: NDArray[np.int64], window: int, axis: int) -> NDArray[np.int64]:
    """Of the values within a window around each, as far as there are some."""
    length = values.shape[axis]
    total = np.insert(np.cumsum(values, axis), 0, 0, axis)
    places = np.arange(length)
    last, first = np.minimum(places + window // 2 + 1, length), np.maximum(places - window // 2, 0)
    found: NDArray[np.int64] = total.take(last, axis) - total.take(first, axis)
    return found


def _closed(grey: NDArray[np.uint8], window: int) -> NDArray[np.uint8]:
    """Without what is dark and narrower than the window; the picture goes on beyond its edges as it ends."""
    half = window // 2
    wide = np.pad(grey, half, mode="edge")
    greatest = ndimage.maximum_filter(wide, window, mode="constant", cval=0)
    least: NDArray[np.uint8] = ndimage.minimum_filter(greatest, window, mode="constant", cval=255)
    return least[half:-half, half:-half]


def _level(counts: NDArray[np.integer], grain: int) -> int:
    """The usual darkness of ink: the median of the darker class of what stands out from the paper's grain.

    From the number of pixels of each darkness.
    """
    counts = counts.copy()
    counts[: max(8, 4 * grain) + 1] = 0
    if not counts.any():
        return 0
    values = np.arange(256)
    below, sums = np.cumsum(counts), np.cumsum(counts * values)
    above, rest = below[-1] - below, sums[-1] - sums
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.nan_to_num(below * above * (sums / below - rest / above) ** 2)
    if between.any():
        counts[: int(between.argmax()) + 1] = 0
    return _quantile(counts, 0.5)


def _quantile(counts: NDArray[np.integer], share: float) -> int:
    """The smallest value that at least this share of pixels does not exceed, by the number of each value."""
    total = np.cumsum(counts)
    return int(np.argmax(total >= share * total[-1]))


def _writing(boxes: list[Box], labels: NDArray[np.integer], ink: NDArray[np.uint8]) -> list[Box]:
    """Without dirt, faint pieces, and, where there is other ink, what the picture's edge cuts off."""
    darkest = ndimage.maximum(ink, labels, range(1, len(boxes) + 1)) if boxes else []
    dark = [box for box, value in zip(boxes, darkest, strict=True) if value >= 128]
    height, width = ink.shape
    whole = [
        box for box in dark if box.top > 0 and box.left > 0 and box.bottom < height and box.right < width
    ]
    longest = max((max(box.height, box.width) for box in whole or dark), default=0)
    if SMALLEST * longest < max(height, width):
        return []
    return [box for box in whole or dark if max(box.height, box.width) >= SPECK * longest]
