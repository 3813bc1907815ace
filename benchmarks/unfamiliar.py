"""What the exported model says of images that are no digits: `python -m benchmarks.unfamiliar`.

None of these sets had a part in the choice of the score or of its threshold; docs/calibration.md has them.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.data import idx
from digits.data.datasets import read_raw
from digits.page.preparation import rasterize
from digits.shift.answers import Answers, ExportedModel
from digits.shift.printed import DIGITS, printed
from digits.shift.sources import letters, to_images

Images = NDArray[np.uint8]

MODEL, RAW = Path("models/model.onnx"), Path("data/raw")
FASHION = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
"""Of Debian's package dataset-fashion-mnist; left out where it is not installed."""
SYMBOLS = "#$%&*+=?@~<>{}[]^!;:"
COUNT = 1000
SEED = 7
"""Of what is drawn."""


def sets(test: Images, random: np.random.Generator) -> Iterator[tuple[str, Images]]:
    """Names and images uint8 [n, 28, 28]."""
    if FASHION.exists():
        yield "Fashion-MNIST", idx.images(gzip.decompress(FASHION.read_bytes()), str(FASHION))
    yield "letters in eight fonts", letters()
    yield "symbols in eight fonts", to_images(printed(SYMBOLS))
    yield "uniform noise", random.integers(0, 256, (COUNT, 28, 28), dtype=np.uint8)
    yield "blank", np.zeros((1, 28, 28), np.uint8)
    yield "all ink", np.full((1, 28, 28), 255, np.uint8)
    digits, others = test[:COUNT], test[random.permutation(COUNT)]
    yield "inverted", 255 - digits
    pairs = np.concatenate([digits[:, :, 4:24], others[:, :, 4:24]], axis=2)
    yield "two digits, prepared as one drawing", to_images(pairs)
    yield "two digits, squeezed", np.concatenate([digits[:, :, ::2], others[:, :, ::2]], axis=2)
    yield "scribbles", to_images(scribble(random) for _ in range(COUNT // 2))
    yield "printed digits, to be accepted", to_images(printed(DIGITS))


def scribble(random: np.random.Generator) -> Images:
    """A smooth line through a few random places: Catmull and Rom's spline."""
    points = random.uniform(40, 240, (random.integers(4, 10), 2))
    before, after = 2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1]
    p = np.concatenate([before, points, after])
    t = np.linspace(0, 1, 12)[:, None]
    line = [
        (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3) / 2
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return rasterize([np.concatenate(line).clip(11, 269).ravel().tolist()], 280, 22)


def auroc(digits: NDArray[np.floating], others: NDArray[np.floating]) -> float:
    """The share of pairs in which the digit has the larger score; a tie counts half."""
    ordered = np.sort(digits)
    below = np.searchsorted(ordered, others, "left") + np.searchsorted(ordered, others, "right")
    return float(1 - below.mean() / 2 / len(digits))


def main() -> None:
    model, test = ExportedModel(MODEL), read_raw(RAW, "t10k").images
    own = model(test)
    print("| set | images | AUROC | refused | accepted with more than 90 % |\n|---|---|---|---|---|")
    _print("test images", own, "")
    for name, images in sets(test, np.random.default_rng(SEED)):
        found = model(images)
        _print(name, found, f"{auroc(own.familiarity, found.familiarity):.1%}")


def _print(name: str, found: Answers, area: str) -> None:
    accepted, taken = found.accepted, found.taken
    print(f"| {name} | {len(accepted):,} | {area} | {1 - accepted.mean():.1%} | {taken.mean():.1%} |")


if __name__ == "__main__":
    main()
