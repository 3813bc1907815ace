"""JavaScript proves of an image what Python proves."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.models.cnn import ConvolutionalNet
from digits.networks.classifier import Classifier
from digits.onnx.bound import bounds
from digits.onnx.export import to_onnx
from digits.onnx.robustness import certified
from tests.digits.onnx.bounded import STEEP

RADII = [1, 2, 5, 20]
IMAGES = np.random.default_rng(4).integers(0, 256, (12, 1, 28, 28), dtype=np.uint8)
IMAGES[:6] *= np.random.default_rng(5).random((6, 1, 28, 28)) < 0.2  # mostly paper, as digits are


def in_node(classifier: Classifier, images: NDArray[np.uint8], folder: Path) -> Any:
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    model = folder / "model.onnx"
    model.write_bytes(to_onnx(classifier, 20, {}).SerializeToString())
    request = {"model": str(model), "images": images.reshape(len(images), -1).tolist(), "radii": RADII}
    command = [node, str(Path(__file__).with_name("proof.mjs"))]
    done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", STEEP)
def test_the_page_proves_what_python_proves(name: str, tmp_path: Path) -> None:
    found = in_node(STEEP[name], IMAGES, tmp_path)
    expected = bounds(STEEP[name], IMAGES)
    for row, one in enumerate(found):
        digit, rival = one["digit"], one["rival"]
        assert digit == expected.digits[row]
        exact = expected.logits[row, digit] - expected.logits[row, rival]
        assert one["margin"] == pytest.approx(exact, abs=1e-9)
        # It does not look more closely at units in doubt, so it may be larger.
        assert 1 - 1e-9 < one["bound"] / expected.differences[row, digit, rival] < 1.1
        assert one["margin"] - one["bound"] <= expected.slack[row].min() + 1e-9
    radii = [certified(STEEP[name], torch.from_numpy(IMAGES), radius).tolist() for radius in RADII]
    assert [one["safe"] for one in found] == [list(row) for row in zip(*radii, strict=True)]
    assert {safe for row in radii for safe in row} == {True, False}


def test_of_another_kind_of_network_nothing_is_proven(tmp_path: Path) -> None:
    net = ConvolutionalNet(channels=[3, 4], dropout=0.2).build()
    assert in_node(Classifier(net, 0.1307, 0.3081).eval(), IMAGES, tmp_path) is None
