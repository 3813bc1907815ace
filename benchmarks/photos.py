"""How many digits of photos are found, and read rightly: `python -m benchmarks.photos`.

The photos are made here, of one, two and three drawings each: paper that is lit unevenly, a shadow, blur,
grain, JPEG; and of paper on a dark table, in a deeper shadow. docs/page.md has the result.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from digits.page.parts import parts
from digits.page.photo import sheet
from digits.page.preparation import prepare, rasterize
from digits.shift.answers import ExportedModel
from digits.shift.strokes import recorded

MODEL, COUNT = Path("models/model.onnx"), 100
DRAWINGS = recorded()
BY_HAND = [drawing for drawing in DRAWINGS if drawing["source"] == "by hand"]
Grey = NDArray[np.uint8]


def photo(
    drawings: Sequence[dict[str, Any]],
    random: np.random.Generator,
    size: tuple[int, int] = (300, 400),
    pen: float = 16,
    table: bool = False,
) -> bytes:
    """JPEG of these drawings side by side, from left to right; `size` is height and width in pixels.

    On a table, the picture is larger by what is seen of it.
    """
    light = _light(size, random, 0.75 if table else 0.45)
    image = light * (1 - random.uniform(0.5, 0.9) * _ink(drawings, random, size, pen))
    if table:
        seen = [(int(side * random.uniform(0, 0.4)), int(side * random.uniform(0, 0.4))) for side in size]
        image = np.pad(image, seen, constant_values=random.uniform(0.05, 0.35))
    blurred = Image.fromarray(_whole(255 * image)).filter(ImageFilter.GaussianBlur(random.uniform(0.5, 1.5)))
    grain = random.normal(0, random.uniform(1, 6), image.shape)
    file = io.BytesIO()
    Image.fromarray(_whole(np.asarray(blurred) + grain)).save(file, "JPEG", quality=75)
    return file.getvalue()


def grey_values(jpeg: bytes) -> Grey:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def _light(size: tuple[int, int], random: np.random.Generator, deepest: float) -> NDArray[np.float64]:
    """The brightness of the paper: darker away from a lamp, and on one side of an edge of a shadow."""
    y, x = np.mgrid[: size[0], : size[1]] / max(size)
    lamp = random.uniform(0, 1, 2)
    light = random.uniform(0.75, 0.95) * (
        1 - random.uniform(0, 0.5) * ((x - lamp[0]) ** 2 + (y - lamp[1]) ** 2)
    )
    angle = random.uniform(0, 2 * np.pi)
    behind = (x - 0.5) * np.cos(angle) + (y - 0.4) * np.sin(angle) + random.uniform(-0.2, 0.2)
    shadow = 1 - random.uniform(0.1, deepest) / (1 + np.exp(-behind / random.uniform(0.01, 0.06)))
    found: NDArray[np.float64] = light * shadow
    return found


def _ink(
    drawings: Sequence[dict[str, Any]], random: np.random.Generator, size: tuple[int, int], pen: float
) -> NDArray[np.float64]:
    height, width = size
    side = int(min(0.8 * height, 0.9 * width / len(drawings)) * random.uniform(0.6, 1))
    top = random.integers(5, height - side - 5)
    left = random.integers(5, width - side * len(drawings) - 5)
    ink = np.zeros(size)
    for number, drawing in enumerate(drawings):
        drawn = Image.fromarray(rasterize(drawing["strokes"], 280, pen)).resize((side, side))
        start = left + number * side
        ink[top : top + side, start : start + side] = np.asarray(drawn) / 255
    return ink


def _whole(values: NDArray[np.float64]) -> Grey:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def main() -> None:
    model = ExportedModel(MODEL)
    random = np.random.default_rng(5)
    print("| digits in a photo | photos | as many found | of these digits right |\n|---|---|---|---|")
    for table in (False, True):
        for written in (1, 2, 3):
            found, right = read(model, random, written, table)
            name = f"{written}, on a dark table" if table else written
            print(f"| {name} | {COUNT} | {found} | {right / found / written:.1%} |")


def read(model: ExportedModel, random: np.random.Generator, written: int, table: bool) -> tuple[int, int]:
    """In how many photos of so many digits as many are found, and how many of these are right."""
    found = right = 0
    for _ in range(COUNT):
        chosen = [DRAWINGS[at] for at in random.integers(0, len(DRAWINGS), written)]
        ink = sheet(grey_values(photo(chosen, random, (900, 1200), random.uniform(8, 26), table)))
        digits = [] if ink is None else [image for part in parts(ink) if (image := prepare(part)) is not None]
        if len(digits) != written:
            continue
        found += 1
        answers = model(np.stack(digits)).classes
        right += int((answers == [drawing["digit"] for drawing in chosen]).sum())
    return found, right


if __name__ == "__main__":
    main()
