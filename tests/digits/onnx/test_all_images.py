"""The bound for all images, held against extreme ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from digits.models.mlp import FeedForwardNet
from digits.networks.classifier import Classifier
from digits.onnx import all_images, layers
from digits.onnx.all_images import metadata, safe_margin
from digits.onnx.bound import bounds
from tests.digits.onnx import orders
from tests.digits.onnx.bounded import CLASSIFIERS, NONE, WHITE, differences, mlp, set_weights
from tests.digits.onnx.orders import ORDERS

RNG = np.random.default_rng(2)
IMAGES = np.concatenate(
    [
        WHITE,
        WHITE * 0,
        RNG.integers(0, 256, (4, 1, 28, 28), dtype=np.uint8),
        RNG.choice(np.array([0, 255], np.uint8), (4, 1, 28, 28)),
    ]
)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_no_image_has_a_larger_error(name: str) -> None:
    classifier = CLASSIFIERS[name]
    exact = differences(bounds(classifier, IMAGES).logits)
    for order in ("forwards", "ascending", "fused"):
        found = differences(orders.answers(classifier, IMAGES, ORDERS[order]))
        assert 0 < np.abs(found - exact).max() < safe_margin(classifier) / 2


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_what_a_layer_can_answer_holds_what_it_answers(name: str) -> None:
    """The intervals of every layer, and the errors, against those of single images."""
    network = layers.of(CLASSIFIERS[name])
    mean, std = (float(CLASSIFIERS[name].mean), float(CLASSIFIERS[name].std))
    reach = all_images._first(network[0], mean, std)
    values = (torch.from_numpy(IMAGES).double() / 255 - mean) / std
    for number, layer in enumerate(network):
        values = layer.values(values)
        assert ((values - reach.middle).abs() <= reach.radius).all()
        if number < len(network) - 1:
            values = values.clamp(min=0) if layer.rectified else values
            reach = all_images._next(network[number + 1], all_images._behind(layer, reach))


def test_it_is_the_bound_of_the_worst_image_where_there_is_one() -> None:
    classifier = mlp([])
    white = bounds(classifier, WHITE).differences.max()
    assert 2 * white < safe_margin(classifier) < 2.1 * white


def test_errors_of_units_that_take_turns_are_not_added() -> None:
    """Of two paths with opposite signs, an error in their source takes the one or the other."""
    first = torch.zeros(1, 784)
    first[0] = 1.0
    second = torch.tensor([[1.0], [1.0]])
    third = torch.zeros(10, 2)
    third[0, 0], third[0, 1] = 1.0, -1.0
    weights: list[tuple[Tensor, Tensor]] = [(first, torch.zeros(1)), (second, torch.tensor([0.0, -1.0]))]
    opposite = safe_margin(set_weights(mlp([1, 2]), *weights, (third, NONE)))
    same = safe_margin(set_weights(mlp([1, 2]), *weights, (third.abs(), NONE)))
    assert opposite < 0.6 * same


def test_it_is_rounded_up() -> None:
    network = layers.of(CLASSIFIERS["mlp"])
    exact = 2 * float(all_images._differences(network, 0.1307, 0.3081).max())
    assert exact < safe_margin(CLASSIFIERS["mlp"]) < 1.01 * exact


def test_where_there_is_no_bound_nothing_is_stated() -> None:
    assert metadata(CLASSIFIERS["mlp"]) == {"safe_margin": repr(safe_margin(CLASSIFIERS["mlp"]))}
    assert metadata(Classifier(nn.Linear(784, 10), 0.0, 1.0)) == {}
    assert metadata(set_weights(mlp([]), (torch.full((10, 784), 1e36), NONE))) == {}


def test_a_layer_more_reaches_further() -> None:
    deep = FeedForwardNet(hidden_sizes=[12], dropout=0.0).build()
    network = layers.of(Classifier(deep, 0.1307, 0.3081))
    doubled = [network[0], replace(network[1], weight=network[1].weight * 2)]
    single, double = (all_images._differences(found, 0.1307, 0.3081) for found in (network, doubled))
    assert (double > 1.5 * single).float().mean() > 0.8
