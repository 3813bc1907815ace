"""The error bound of small networks, against float32 in many orders."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from digits.networks.classifier import Classifier
from digits.onnx import bound, layers
from digits.onnx.bound import Bounds, bounds
from tests.digits.onnx import orders
from tests.digits.onnx.bounded import CLASSIFIERS, NONE, WHITE, differences, mlp, ratio, set_weights
from tests.digits.onnx.orders import LOG_SOFTMAXES, ORDERS, of_products, shuffled

RNG = np.random.default_rng(1)
IMAGES = RNG.integers(0, 256, (6, 1, 28, 28), dtype=np.uint8)
IMAGES[:3] *= RNG.random((3, 1, 28, 28)) < 0.2  # mostly paper, as digits are


BOUNDS = {name: bounds(classifier, IMAGES) for name, classifier in CLASSIFIERS.items()}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_exact_network_is_that_of_the_classifier(name: str) -> None:
    exact = Classifier(CLASSIFIERS[name].net, 0.1307, 0.3081)
    with torch.no_grad():
        expected = exact.double()(torch.from_numpy(IMAGES)).numpy()
    exact.float()
    found = BOUNDS[name]
    np.testing.assert_allclose(differences(found.logits), differences(expected), atol=1e-12)
    assert found.digits.tolist() == expected.argmax(axis=1).tolist()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_no_order_of_summation_exceeds_the_bound(name: str, order: str) -> None:
    for normalization in ("divided", "multiplied", "folded"):
        if normalization != "folded" or name in ("linear", "mlp", "deep"):
            found = orders.answers(CLASSIFIERS[name], IMAGES, ORDERS[order], normalization)
            assert 0 < ratio(found, BOUNDS[name]) < 1


@pytest.mark.parametrize("form", LOG_SOFTMAXES)
def test_no_form_of_log_softmax_exceeds_the_bound(form: str) -> None:
    for name, classifier in CLASSIFIERS.items():
        found = orders.answers(classifier, IMAGES, ORDERS["forwards"], log_softmax=form)
        assert ratio(found, BOUNDS[name]) < 1


def test_a_thousand_orders_stay_within_the_bound() -> None:
    classifier = mlp([16, 12], seed=3)
    expected = bounds(classifier, IMAGES)
    found = [orders.answers(classifier, IMAGES, of_products(shuffled(seed))) for seed in range(1000)]
    assert len({answers.tobytes() for answers in found}) > 900
    assert max(ratio(answers, expected) for answers in found) < 1


def drawn(seed: int) -> tuple[Classifier, NDArray[np.uint8]]:
    """A network of any form and scale, its biases such that many units are close to zero, and images."""
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(1, 20, rng.integers(0, 4))]
    classifier = mlp(sizes, seed, mean=float(rng.random()), std=float(rng.uniform(0.01, 2)))
    images = rng.integers(0, 256, (2, 1, 28, 28), dtype=np.uint8)
    linear = [m for m in classifier.net.children() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        for module in linear:
            module.weight *= float(10 ** rng.uniform(-1, 1))
        for number, module in enumerate(linear[:-1]):
            values = (torch.from_numpy(images).double() / 255 - classifier.mean) / classifier.std
            for layer in layers.of(classifier)[:number]:
                values = layer.values(values).relu()
            outputs = layers.of(classifier)[number].values(values)[0]
            module.bias.sub_((outputs * (1 + 1e-6 * rng.normal())).float())
    return classifier, images


@pytest.mark.parametrize("seed", range(40))
def test_drawn_networks_stay_within_their_bounds(seed: int) -> None:
    """Units of the hidden layers are within rounding of zero, so that their states are in doubt."""
    classifier, images = drawn(seed)
    expected = bounds(classifier, images)
    assert np.isfinite(expected.differences).all()
    for name in np.random.default_rng(seed).choice([*ORDERS], 4, replace=False):
        for normalization in ("divided", "multiplied", "folded"):
            assert ratio(orders.answers(classifier, images, ORDERS[name], normalization), expected) < 1


def test_a_digit_is_certain_only_where_its_margin_exceeds_the_bound() -> None:
    logits = np.zeros((3, 10))
    logits[:, 4], logits[:, 7] = 5.0, (4.9, 4.5, 5.0)
    found = Bounds(logits, np.full((3, 10, 10), 0.3))
    assert found.digits.tolist() == [4, 4, 4]
    assert found.certain.tolist() == [False, True, False]
    np.testing.assert_allclose(found.slack[:, 7], [-0.2, 0.2, -0.3])


@pytest.mark.parametrize("size", [1e36, -1e36])
def test_what_would_overflow_has_no_bound(size: float) -> None:
    """Also where it is below 0 in the end."""
    weight = torch.full((1, 784), size)
    classifier = set_weights(mlp([1], mean=0.0, std=1.0), (weight, torch.zeros(1)), (torch.ones(10, 1), NONE))
    found = bounds(classifier, WHITE)
    assert np.isinf(found.differences).all()
    assert not found.certain.any()


def test_images_do_not_depend_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bound, "CHUNK", 4)
    for name, classifier in CLASSIFIERS.items():
        np.testing.assert_allclose(bounds(classifier, IMAGES).differences, BOUNDS[name].differences)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Tanh(), nn.LogSoftmax(dim=1)),
        nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
        nn.Sequential(nn.Conv2d(1, 10, 28, dilation=2, padding=27), nn.Flatten(), nn.LogSoftmax(dim=1)),
        nn.Linear(784, 10),
    ],
    ids=["an activation", "no log-softmax", "a dilated convolution", "another module"],
)
def test_what_the_theorem_does_not_treat_has_no_bound(net: nn.Module) -> None:
    with pytest.raises(layers.UnknownNetworkError):
        bounds(Classifier(net, 0.1307, 0.3081), IMAGES)
