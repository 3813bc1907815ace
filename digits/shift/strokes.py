"""Digits as a pen draws them, and those that people write in more than one way."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.page.preparation import Stroke, rasterize

FILE = Path(__file__).with_name("drawings.json")
SIZE, PEN = 280, 24
"""Of the canvas, as the page has it, in pixels."""
COPIES = 20
"""Of each drawing below, all different."""

Drawing = Sequence[Stroke]
FORMS: dict[str, tuple[int, Sequence[Drawing]]] = {
    "crossed_sevens": (
        7,
        [
            [[80, 65, 195, 60, 150, 140, 120, 235], [100, 150, 180, 142]],
            [[85, 80, 90, 60, 190, 58, 160, 130, 135, 230], [110, 145, 185, 140]],
            [[78, 62, 140, 70, 200, 55, 165, 120, 130, 180, 115, 238], [95, 135, 190, 150]],
            [[90, 55, 185, 55, 178, 80, 130, 235], [115, 140, 175, 140]],
            [[70, 80, 85, 62, 120, 66, 205, 64, 170, 115, 145, 175, 140, 232], [118, 158, 195, 150]],
            [[95, 60, 190, 66, 140, 150, 95, 230], [100, 128, 170, 165]],
        ],
    ),
    "serif_ones": (
        1,
        [
            [[105, 95, 142, 50, 142, 230], [100, 231, 185, 231]],
            [[112, 85, 150, 48, 148, 228], [105, 230, 190, 226]],
            [[95, 110, 130, 80, 150, 50, 146, 232], [110, 234, 182, 230]],
            [[120, 75, 145, 52, 140, 232], [90, 228, 195, 236]],
            [[100, 100, 155, 45, 140, 230], [100, 232, 180, 230]],
            [[108, 92, 145, 52, 143, 230, 100, 232, 188, 228]],
        ],
    ),
    "open_fours": (
        4,
        [
            [[110, 55, 90, 145, 195, 145], [168, 60, 165, 235]],
            [[100, 60, 95, 110, 110, 140, 150, 142, 185, 130], [180, 55, 172, 150, 170, 238]],
            [[95, 70, 85, 135, 100, 155, 190, 150], [160, 65, 168, 160, 160, 235]],
            [[115, 50, 80, 160, 205, 155], [150, 100, 150, 235]],
            [[90, 65, 92, 130, 130, 150, 175, 140, 182, 60, 178, 150, 172, 235]],
            [[120, 60, 75, 150, 200, 140], [175, 90, 145, 240]],
        ],
    ),
}
"""By hand, corner by corner: their digit, and how several people write it."""


def recorded() -> list[dict[str, Any]]:
    """The drawings of drawings.json: each one's `digit`, `source`, and `strokes` on the page's canvas."""
    found: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))["drawings"]
    return found


def drawings() -> tuple[list[NDArray[np.uint8]], list[int]]:
    """The drawings of drawings.json on the page's canvas [280, 280] each, and their digits."""
    found = recorded()
    return [rasterize(each["strokes"], SIZE, PEN) for each in found], [each["digit"] for each in found]


def forms(name: str, random: np.random.Generator) -> list[NDArray[np.uint8]]:
    """The drawings of this name, each in 20 hands: [280, 280] each."""
    _, originals = FORMS[name]
    found = []
    for _ in range(COPIES):
        for drawing in originals:
            slant, turn = random.uniform(-0.2, 0.2), np.radians(random.uniform(-6, 6))
            wide, high = random.uniform(0.8, 1.1, 2)
            turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            matrix = turned @ np.array([[wide, -slant], [0, high]])
            strokes = [in_another_hand(stroke, matrix, random) for stroke in drawing]
            found.append(rasterize(strokes, SIZE, random.uniform(16, 30)))
    return found


def in_another_hand(stroke: Stroke, matrix: NDArray[np.float64], random: np.random.Generator) -> Stroke:
    """The stroke about the canvas's middle by `matrix`, then each corner up to 6 pixels off, then smooth."""
    corners = np.asarray(stroke, dtype=float).reshape(-1, 2)
    corners = (corners - SIZE / 2) @ matrix.T + SIZE / 2 + random.uniform(-6, 6, corners.shape)
    return smooth(corners.ravel().tolist())


def smooth(stroke: Stroke) -> list[float]:
    """Chaikin's corner cutting, twice: each corner becomes two, and the ends stay."""
    points = np.array(stroke, dtype=float).reshape(-1, 2)
    for _ in range(2):
        near, far = points[:-1] * 0.75 + points[1:] * 0.25, points[:-1] * 0.25 + points[1:] * 0.75
        points = np.vstack([points[:1], np.stack([near, far], axis=1).reshape(-1, 2), points[-1:]])
    found: list[float] = points.ravel().tolist()
    return found
