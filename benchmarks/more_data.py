"""Write a larger data set: MNIST, then MNIST again and again, each image changed anew.

    python -m benchmarks.more_data 600000 data/normalized/train.safetensors

The file has the format of the `normalize` stage, whose training images are the source. It is written
piece by piece; the same number of images gives the same bytes.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file
from tqdm import tqdm

from digits.training.augmentation import Augmentation

CHANGES = Augmentation(shift=2.0, rotation=10.0, scale=0.1, elastic=0.5)
PIECE = 10_000  # images


def header(count: int, metadata: dict[str, str] | None = None) -> bytes:
    """That of a safetensors file with `count` images before their labels, mean and std."""
    tensors: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    shapes = {"images": ("F32", [count, 1, 28, 28], 4), "labels": ("I64", [count], 8)}
    for name, (kind, shape, width) in (shapes | {n: ("F64", [1], 8) for n in ("mean", "std")}).items():
        begin, end = end, end + int(np.prod(shape)) * width
        tensors[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(tensors).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def progress(count: int) -> "tqdm[Any]":
    """A bar on a terminal, nothing in a log."""
    return tqdm(total=count, unit=" images", unit_scale=True, disable=not sys.stderr.isatty())


def write(count: int, source: Path, target: Path, seed: int = 42) -> None:
    """Write `count` images: those of `source` as they are, then again, changed anew each time."""
    with safe_open(source, framework="np") as about:
        metadata = about.metadata()
    data = load_file(source)
    images, labels = data["images"], data["labels"]
    generator = torch.Generator().manual_seed(seed)
    temporary = target.with_name(f".{target.name}.part")
    try:
        with temporary.open("wb") as file, progress(count) as bar:
            file.write(header(count, metadata))
            for start in range(0, count, PIECE):
                rows = np.arange(start, min(start + PIECE, count))
                piece = images[rows % len(images)]
                again = rows >= len(images)
                if again.any():
                    piece[again] = CHANGES(torch.from_numpy(piece[again]), generator).numpy()
                file.write(piece.tobytes())
                bar.update(len(rows))
            for start in range(0, count, PIECE):
                rows = np.arange(start, min(start + PIECE, count))
                file.write(labels[rows % len(labels)].tobytes())
            file.write(data["mean"].tobytes() + data["std"].tobytes())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("count", type=int, help="how many images")
    parser.add_argument("target", type=Path)
    parser.add_argument("--source", type=Path, default=Path("data/normalized/train.safetensors"))
    arguments = parser.parse_args()
    write(arguments.count, arguments.source, arguments.target)


if __name__ == "__main__":
    main()
