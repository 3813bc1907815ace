"""The picture of the report: some images of each row, with what the model makes of them."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digits.evaluation.pictures import INK, save
from digits.shift.report import SAMPLES, Row

CELL, GROUP, HIGH, LEFT, HEAD = 30, 98, 40, 62, 12
"""Sizes in pixels of the images: an image with its margin, three of them, a line, its name, what is above."""
WIDE = LEFT + 3 * GROUP
PER_INCH = 58
OF_SEVERITY = SAMPLES // 3


def picture(rows: Sequence[Row], path: Path) -> None:
    """Two columns of lines: a change with its three severities, or one of the other rows.

    Above the images: the accuracy, or of letters the share of sure answers; and the share that is refused.
    """
    lines = [list(group) for _, group in groupby(rows, key=lambda row: row.name)]
    high = -(-len(lines) // 2)
    mosaic = np.zeros((HEAD + high * HIGH, 2 * WIDE), np.uint8)
    figure = Figure(figsize=(mosaic.shape[1] / PER_INCH, mosaic.shape[0] / PER_INCH))
    axes: Axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for number, line in enumerate(lines):
        column, place = divmod(number, high)
        top, left = HEAD + place * HIGH, column * WIDE
        name = line[0].name.replace("_", "\n")
        axes.text(left + LEFT - 5, top + 20, name, ha="right", va="center", fontsize=8, color=INK)
        for part, row in enumerate(line):
            start = left + LEFT + part * GROUP
            shown = row.samples if row.severity is None else row.samples[1::3][:OF_SEVERITY]
            for k, image in enumerate(shown):
                mosaic[top + 8 : top + 36, start + k * CELL : start + k * CELL + 28] = image
            axes.text(start, top + 6.5, words(row), ha="left", va="bottom", fontsize=7, color=INK)
    title = "Share of right answers, and of images refused, by the severity of a change and on other digits"
    axes.text(WIDE, HEAD / 2 - 1, title, ha="center", va="center", fontsize=9, color=INK)
    axes.imshow(mosaic, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    save(figure, path)


def words(row: Row) -> str:
    """What stands above the images of a row."""
    refused = f"{row.refused:.0%} refused"
    if row.accuracy is None:
        return f"{row.sure:.0%} answered with more than 90%, {refused}"
    return f"{row.accuracy:.1%}, {refused}"
