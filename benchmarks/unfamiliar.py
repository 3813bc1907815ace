"""What the exported model says of images that are no digits: `python -m benchmarks.unfamiliar`.

None of these sets had a part in the choice of the score or of its threshold; docs/calibration.md has them.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digits.data import idx
from digits.data.datasets import read_raw
from digits.page.preparation import prepare, rasterize

Images = NDArray[np.uint8]

MODEL, RAW = Path("models/model.onnx"), Path("data/raw")
FASHION = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
"""Of Debian's package dataset-fashion-mnist; left out where it is not installed."""
FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
FACES = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif-Italic", "DejaVuSansMono"),
    *("STIXGeneral", "cmr10", "cmss10", "cmtt10"),
)
LETTERS = "ACDEFGHJKLMNPQRTUVWXYacdefhijkmnprtuvwxy"
"""Those that are no digits in some hand: not I, l, O, o, S, s, Z, z, B, b, g, q."""
SYMBOLS = "#$%&*+=?@~<>{}[]^!;:"
COUNT = 1000


def sets(test: Images, random: np.random.Generator) -> Iterator[tuple[str, Images]]:
    """Names and images uint8 [n, 28, 28]."""
    if FASHION.exists():
        yield "Fashion-MNIST", idx.images(gzip.decompress(FASHION.read_bytes()), str(FASHION))
    yield "letters in eight fonts", printed(LETTERS)
    yield "symbols in eight fonts", printed(SYMBOLS)
    yield "uniform noise", random.integers(0, 256, (COUNT, 28, 28), dtype=np.uint8)
    yield "blank", np.zeros((1, 28, 28), np.uint8)
    yield "all ink", np.full((1, 28, 28), 255, np.uint8)
    digits, others = test[:COUNT], test[random.permutation(COUNT)]
    yield "inverted", 255 - digits
    pairs = np.concatenate([digits[:, :, 4:24], others[:, :, 4:24]], axis=2)
    yield "two digits, prepared as one drawing", prepared(pairs)
    yield "two digits, squeezed", np.concatenate([digits[:, :, ::2], others[:, :, ::2]], axis=2)
    yield "scribbles", prepared(np.stack([scribble(random) for _ in range(COUNT // 2)]))
    yield "printed digits, to be accepted", printed("0123456789")


def printed(characters: str) -> Images:
    found = []
    for face in FACES:
        font = ImageFont.truetype(FONTS / f"{face}.ttf", 96)
        for character in characters:
            sheet = Image.new("L", (200, 200))
            ImageDraw.Draw(sheet).text((50, 30), character, 255, font=font)
            found.append(np.asarray(sheet))
    return prepared(np.stack(found))


def prepared(drawings: Images) -> Images:
    return np.stack([image for drawing in drawings if (image := prepare(drawing)) is not None])


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
    session = onnxruntime.InferenceSession(MODEL)
    threshold = float(session.get_modelmeta().custom_metadata_map["familiarity_threshold"])
    test = read_raw(RAW, "t10k").images

    def answers(images: Images) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logarithms, familiar = session.run(["log_probabilities", "familiarity"], {"image": images[:, None]})
        return np.exp(logarithms.max(axis=1)), familiar

    sure, own = answers(test)
    print("| set | images | AUROC | refused | accepted with more than 90 % |\n|---|---|---|---|---|")
    row = "| {} | {:,} | {} | {:.1%} | {:.1%} |"
    print(row.format("test images", len(test), "", (own < threshold).mean(), _taken(sure, own, threshold)))
    for name, images in sets(test, np.random.default_rng(7)):
        sure, familiar = answers(images)
        refused = (familiar < threshold).mean()
        area = f"{auroc(own, familiar):.1%}"
        print(row.format(name, len(images), area, refused, _taken(sure, familiar, threshold)))


def _taken(sure: NDArray[np.float32], familiar: NDArray[np.float32], threshold: float) -> float:
    return float(((familiar >= threshold) & (sure > 0.9)).mean())


if __name__ == "__main__":
    main()
