"""Makes digits/shift/drawings.json, digits as a pen would draw them: `python -m benchmarks.make_drawings`.

Ten are by hand. For the others, test images are enlarged, thinned to lines one pixel wide, and followed from
crossing to crossing; the lines are laid onto the canvas at a place and a size drawn at random.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.data.datasets import read_raw
from digits.shift.strokes import FILE, SIZE, smooth

PER_DIGIT, ENLARGED, SPUR = 25, 4, 7
Point = tuple[int, int]

BY_HAND: list[list[list[int]]] = [
    [[140, 50, 105, 70, 90, 140, 105, 215, 140, 235, 178, 212, 192, 140, 176, 70, 140, 50]],
    [[115, 85, 148, 48, 148, 232]],
    [[92, 95, 110, 60, 145, 48, 180, 65, 186, 100, 165, 140, 120, 185, 88, 228, 196, 226]],
    [[95, 65, 140, 48, 178, 68, 178, 110, 130, 136, 180, 158, 188, 200, 150, 232, 95, 220]],
    [[112, 55, 92, 145, 190, 145], [172, 60, 172, 235]],
    [[185, 52, 110, 52, 102, 130, 150, 122, 186, 150, 186, 200, 150, 230, 95, 220]],
    [[170, 50, 120, 95, 95, 165, 108, 218, 148, 232, 182, 205, 178, 165, 140, 150, 102, 180]],
    [[85, 60, 195, 60, 150, 140, 125, 235]],
    [
        [
            175,
            75,
            138,
            50,
            105,
            78,
            118,
            115,
            165,
            155,
            180,
            200,
            142,
            232,
            102,
            205,
            115,
            160,
            165,
            115,
            175,
            75,
        ]
    ],
    [[180, 90, 142, 55, 104, 85, 112, 128, 150, 138, 180, 92, 178, 150, 168, 235]],
]


def main() -> None:
    test = read_raw(Path("data/raw"), "t10k")
    random = np.random.default_rng(42)
    drawings: list[dict[str, object]] = [
        {"digit": digit, "source": "by hand", "strokes": [whole(stroke) for stroke in strokes]}
        for digit, strokes in enumerate(BY_HAND)
    ]
    for digit in range(10):
        for number in np.flatnonzero(test.labels == digit)[:PER_DIGIT].tolist():
            strokes = place(trace(thin(enlarge(test.images[number]))), random)
            drawings.append({"digit": digit, "source": f"test image {number}", "strokes": strokes})
    lines = ",\n".join(json.dumps(drawing, separators=(",", ":")) for drawing in drawings)
    FILE.write_text(f'{{"size": {SIZE}, "drawings": [\n{lines}\n]}}\n')
    print(f"{FILE.name}: {len(drawings)} drawings, {FILE.stat().st_size:,} bytes")


def whole(stroke: list[int]) -> list[int]:
    return [round(number) for number in smooth(stroke)]


def enlarge(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where an enlarged image [28, 28] is dark, smoothed along both axes, with a margin of paper."""
    large = np.kron(np.pad(image.astype(float), 2), np.ones((ENLARGED, ENLARGED)))
    for axis in (0, 1, 0, 1):
        large = np.mean([np.roll(large, shift, axis) for shift in (-2, -1, 0, 1, 2)], axis=0)
    return np.asarray(large > 110)


def thin(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Zhang and Suen, A fast parallel algorithm for thinning digital patterns (1984)."""
    ink = ink.copy()
    while True:
        before = ink.copy()
        for first in (True, False):
            ring = [
                np.roll(ink, shift, (0, 1))
                for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            ]
            n, _, e, _, s, _, w, _ = ring
            around = np.sum(ring, axis=0)
            rises = sum((~a & b).astype(int) for a, b in zip(ring, [*ring[1:], ring[0]], strict=True))
            edges = ~(n & e & s) & ~(e & s & w) if first else ~(n & e & w) & ~(n & s & w)
            ink &= ~(ink & (around >= 2) & (around <= 6) & (rises == 1) & edges)
        if (ink == before).all():
            return ink


def trace(skeleton: NDArray[np.bool_]) -> list[list[Point]]:
    """The lines of a skeleton as pixels in turn, from ends and crossings on; what is closed comes last."""
    pixels = {(int(y), int(x)) for y, x in np.argwhere(skeleton)}
    links = {pixel: _neighbours(pixel, pixels) for pixel in pixels}
    seen: set[frozenset[Point]] = set()
    lines = []
    for start in [*sorted(p for p in pixels if len(links[p]) != 2), *sorted(pixels)]:
        for following in links[start]:
            line = [start]
            while frozenset((line[-1], following)) not in seen:
                seen.add(frozenset((line[-1], following)))
                line.append(following)
                if len(links[following]) != 2:
                    break
                following = next(p for p in links[following] if p != line[-2])
            is_spur = len(line) < SPUR and 1 in (len(links[line[0]]), len(links[line[-1]]))
            if len(line) > 1 and not is_spur:
                lines.append(line)
    return lines or [sorted(pixels)]


def _neighbours(pixel: Point, pixels: set[Point]) -> list[Point]:
    """Those beside it, and those at its corners that are not reached through one beside it."""
    y, x = pixel
    beside = [p for p in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)) if p in pixels]
    corners = [
        (y + dy, x + dx)
        for dy in (-1, 1)
        for dx in (-1, 1)
        if (y + dy, x) not in pixels and (y, x + dx) not in pixels and (y + dy, x + dx) in pixels
    ]
    return beside + corners


def place(lines: list[list[Point]], random: np.random.Generator) -> list[list[int]]:
    """Strokes on the canvas: the longer side 110 to 230 pixels, anywhere within a margin of 20."""
    points = np.array([point for line in lines for point in line], dtype=float)
    low, extent = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1)
    scale = random.uniform(110, 230) / extent.max()
    corner = random.uniform(20, SIZE - 20 - extent * scale)
    strokes = []
    for line in lines:
        placed = (np.array(simplify(line)) - low) * scale + corner
        strokes.append([round(number) for y, x in placed.tolist() for number in (x, y)])
    return strokes


def simplify(line: list[Point], tolerance: float = 0.7) -> list[Point]:
    """Ramer, Douglas and Peucker: fewer corners, none further than `tolerance` from the line."""
    if len(line) < 3:
        return line
    points = np.array(line, dtype=float)
    start, chord = points[0], points[-1] - points[0]
    length = np.hypot(*chord)
    offsets = points - start
    if length:
        distances = np.abs(chord[0] * offsets[:, 1] - chord[1] * offsets[:, 0]) / length
    else:
        distances = np.hypot(*offsets.T)
    middle = int(distances.argmax())
    if distances[middle] <= tolerance:
        return [line[0], line[-1]]
    return simplify(line[: middle + 1], tolerance)[:-1] + simplify(line[middle:], tolerance)


if __name__ == "__main__":
    main()
