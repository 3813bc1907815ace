"""Near-ties are real images, close to a tie, and the same on every search."""

import numpy as np
import pytest
import torch

from digits.models.cnn import ConvolutionalNet
from digits.models.mlp import FeedForwardNet
from digits.networks.classifier import Classifier
from digits.networks.model import Model
from digits.onnx import near_ties
from digits.onnx.parity import margins
from digits.onnx.runtime import Model as Both
from digits.runtimes.pytorch_float64 import PyTorchFloat64

IMAGES = np.random.default_rng(2).integers(0, 256, (40, 1, 28, 28), dtype=np.uint8)
MODELS: list[Model] = [
    FeedForwardNet(hidden_sizes=[32], dropout=0.2),
    ConvolutionalNet(channels=[8, 16], dropout=0.2),
]


@pytest.mark.parametrize("model", MODELS, ids=["mlp", "cnn"])
def test_the_two_most_probable_digits_almost_tie(model: Model) -> None:
    torch.manual_seed(1)
    classifier = Classifier(model.build(), 0.1307, 0.3081).eval()
    found = near_ties.search(classifier, IMAGES, 12)
    assert found.dtype == np.uint8
    assert found.shape == (12, 1, 28, 28)
    oracle = PyTorchFloat64(Both(b"", classifier))
    before = margins(oracle.predict(IMAGES))
    after = margins(oracle.predict(found))
    assert np.median(after) < np.median(before) / 1000
    np.testing.assert_array_equal(found, near_ties.search(classifier, IMAGES, 12))
    assert next(classifier.parameters()).dtype == torch.float32, "the classifier itself is not changed"


def test_no_more_than_there_are() -> None:
    classifier = Classifier(MODELS[0].build(), 0.1307, 0.3081).eval()
    assert len(near_ties.search(classifier, IMAGES, 1000)) == 40
    assert len(near_ties.search(classifier, IMAGES, 0)) == 0
