"""JavaScript and Python prepare drawings to the same bytes, and leave a test image as it is."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.data.datasets import read_raw
from digits.page.preparation import prepare, rasterize, shrink
from digits.shift.strokes import PEN, SIZE, recorded

HERE = Path(__file__).parent
DRAWINGS = [drawing["strokes"] for drawing in recorded()]


def in_node(program: str, request: Any) -> NDArray[np.uint8]:
    """The bytes that a program of this folder makes of what it is asked."""
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    command = [node, str(HERE / program)]
    done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8)


def test_raw_test_images_are_prepared_already(raw_data: Path) -> None:
    images = read_raw(raw_data, "t10k").images
    found = in_node("prepare.mjs", {"images": str(raw_data / "t10k-images-idx3-ubyte"), "drawings": []})
    found = found.reshape(images.shape)
    twins = np.array([prepare(image) for image in images])
    assert np.array_equal(found, twins)
    unchanged = int((found == images).all(axis=(1, 2)).sum())
    print(f"{unchanged:,} of {len(images):,} test images stay as they are, to the last grey value")
    assert unchanged == 9_996, "of the others, three are but 19 pixels long"


def test_drawings_become_the_same_bytes() -> None:
    random = np.random.default_rng(7)
    scribbles = [
        [random.uniform(-20, 300, 2 * length).tolist() for length in random.integers(1, 6, size=3).tolist()]
        for _ in range(20)
    ]
    drawings = [*DRAWINGS, *scribbles, [[140, 140]], []]
    everything = in_node("prepare.mjs", {"drawings": drawings, "size": SIZE, "pen": PEN})
    everything = everything.reshape(len(drawings), -1)
    for drawing, found in zip(drawings, everything, strict=True):
        ink = rasterize(drawing, SIZE, PEN)
        prepared = prepare(ink)
        blank = np.zeros((28, 28), np.uint8)
        expected = [ink, blank if prepared is None else prepared, shrink(ink)]
        assert np.array_equal(found, np.concatenate([part.ravel() for part in expected]))
