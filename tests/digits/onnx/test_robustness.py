"""What is proven of changed images, against what is known, and against changes that are tried."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from digits.networks.classifier import Classifier
from digits.onnx import layers, robustness
from digits.onnx.robustness import Box, attacked, certified, measure
from tests.digits.onnx.bounded import STEEP, cnn

IMAGES = torch.from_numpy(np.random.default_rng(4).integers(0, 256, (12, 1, 28, 28), dtype=np.uint8))


CLASSIFIERS = {**STEEP, "cnn": cnn([3, 4])}


def digits(classifier: Classifier, images: Tensor = IMAGES) -> Tensor:
    with torch.no_grad():
        found: Tensor = classifier(images).argmax(1)
    return found


@pytest.mark.parametrize("radius", [1, 2, 5, 20, 60])
def test_of_a_linear_network_the_whole_truth_is_known(radius: int) -> None:
    """The worst change of each pixel is by the radius, against the weights, as far as white or black."""
    classifier = CLASSIFIERS["linear"]
    (network,) = layers.of(classifier)
    low, high = ((IMAGES.double() + change).clamp(0, 255) for change in (-radius, radius))
    found = digits(classifier)
    least = torch.full((len(IMAGES),), torch.inf, dtype=torch.float64)
    for row, digit in enumerate(found.tolist()):
        for rival in {*range(10)} - {digit}:
            weights = network.weight[digit] - network.weight[rival]
            worst = torch.where(weights > 0, low[row].flatten(), high[row].flatten()) / 255
            values = (worst - classifier.mean.double()) / classifier.std.double()
            margin = values @ weights + network.bias[digit] - network.bias[rival]
            least[row] = least[row].minimum(margin)
    assert certified(classifier, IMAGES, radius).tolist() == (least > 0).tolist()
    assert attacked(classifier, IMAGES, found, radius).tolist() == (least <= 0).tolist()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_what_is_proven_is_not_found_to_be_wrong(name: str) -> None:
    classifier = CLASSIFIERS[name]
    proven = []
    for radius in (1, 2, 4):
        safe = certified(classifier, IMAGES, radius)
        assert not (safe & attacked(classifier, IMAGES, digits(classifier), radius)).any()
        proven.append(int(safe.sum()))
    assert proven[0] > 0
    assert proven == sorted(proven, reverse=True)


@pytest.mark.parametrize("name", ["mlp", "deep", "cnn"])
def test_no_changed_image_leaves_what_its_layers_can_answer(name: str) -> None:
    network, radius = layers.of(CLASSIFIERS[name]), 6
    low, high = ((IMAGES.double() + change).clamp(0, 255) for change in (-radius, radius))
    pixels = Box(*((limit / 255 - 0.1307) / 0.3081 for limit in (low, high)))
    known: list[Box] = []
    for number in range(len(network)):
        known.append(robustness._outputs(network[: number + 1], known, pixels))
    generator = torch.Generator().manual_seed(1)
    narrow = []
    for trial in range(60):
        share = torch.rand(IMAGES.shape, generator=generator, dtype=torch.float64)
        share = share.round() if trial % 2 else share  # at the corners, or anywhere
        values = pixels.low + share * (pixels.high - pixels.low)
        for layer, box in zip(network, known, strict=True):
            outputs = layer.values(values)
            assert (outputs >= box.low).all()
            assert (outputs <= box.high).all()
            narrow.append(float(((outputs - box.low) / (box.high - box.low)).min()))
            values = outputs.clamp(min=0) if layer.rectified else outputs
    assert min(narrow) < 0.4, "the limits are near what occurs"


def test_linear_bounds_prove_more_than_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = CLASSIFIERS["deep"]
    closer = [int(certified(classifier, IMAGES, radius).sum()) for radius in (1, 2, 4, 8)]
    monkeypatch.setattr(robustness, "ROWS", 0)
    intervals = [int(certified(classifier, IMAGES, radius).sum()) for radius in (1, 2, 4, 8)]
    assert sum(closer) > sum(intervals)


def test_a_wrong_digit_counts_for_neither() -> None:
    classifier = CLASSIFIERS["mlp"]
    labels = digits(classifier)
    labels[:3] = (labels[:3] + 1) % 10
    found = measure(classifier, IMAGES, labels, [1, 2, 4])
    assert found.right.tolist() == [False] * 3 + [True] * 9
    assert found.safe[:3].tolist() == [0, 0, 0]
    assert found.broken[:3].tolist() == [1, 1, 1]
    for radius in (1, 2, 4):
        proven, standing = found.accuracies(radius)
        expected = (certified(classifier, IMAGES, radius) & found.right).double().mean().item()
        assert proven == expected <= standing <= 0.75


@pytest.mark.parametrize(
    ("name", "change"), [("linear", 0), ("mlp", 0), ("mlp", 1), ("cnn", 1)]
)  # by 0 none is proven, by 1 none is right to begin with
def test_where_nothing_is_left_to_prove_all_radii_are_zero(name: str, change: int) -> None:
    classifier, images = CLASSIFIERS[name], IMAGES[:2]
    found = measure(classifier, images, (digits(classifier, images) + change) % 10, [254, 255])
    assert found.safe.tolist() == [0, 0]
    assert found.accuracies(254)[0] == found.accuracies(255)[0] == 0.0


def test_the_attack_leaves_the_classifier_as_it_is() -> None:
    classifier = CLASSIFIERS["mlp"]
    attacked(classifier, IMAGES, digits(classifier), 1)
    assert {parameter.dtype for parameter in classifier.parameters()} == {torch.float32}
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_no_radius_is_proven_of_an_unknown_network() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Tanh(), nn.LogSoftmax(dim=1))
    with pytest.raises(layers.UnknownNetworkError):
        certified(Classifier(net, 0.1307, 0.3081), IMAGES, 1)
