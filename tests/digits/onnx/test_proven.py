"""What the certificate says of the bound: of the right file, with the right numbers, and its gates."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from digits.models.cnn import ConvolutionalNet
from digits.models.mlp import FeedForwardNet
from digits.networks.classifier import Classifier
from digits.onnx.answers import ParityError
from digits.onnx.bound import Bounds
from digits.onnx.certificate import certificate, check
from digits.onnx.certificate_table import table
from digits.onnx.contract import OUTPUT
from digits.onnx.export import to_onnx
from digits.onnx.parity import Reference
from digits.onnx.proven import Proven
from digits.onnx.runtime import Model
from digits.runtimes.pytorch_float32 import PyTorchFloat32
from digits.runtimes.pytorch_float64 import PyTorchFloat64
from tests.digits.onnx.bounded import any_familiarity, differences, normalizing

IMAGES = np.random.default_rng(1).integers(0, 256, (40, 1, 28, 28), dtype=np.uint8)
NETWORKS = {
    "mlp": FeedForwardNet(hidden_sizes=[20, 10], dropout=0.2),
    "cnn": ConvolutionalNet(channels=[3, 4], dropout=0.2),
    "separable": ConvolutionalNet(channels=[3, 4], dropout=0.2, separable=True),
    "stem": ConvolutionalNet(channels=[3, 4], dropout=0.2, stem=4),
}


@functools.cache
def exported(name: str) -> Model:
    torch.manual_seed(1)
    classifier = Classifier(normalizing(NETWORKS[name].build()), 0.1307, 0.3081, any_familiarity()).eval()
    return Model(to_onnx(classifier, 20, {}).SerializeToString(), classifier)


class Erring(PyTorchFloat32):
    """PyTorch's answers with one more error in one of them."""

    def __init__(self, model: Model, error: float) -> None:
        super().__init__(model)
        self._error = error

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        found = super().predict(images, output)
        found[7, 3] += self._error
        return found


def compared(name: str, error: float, least: float = 0.0) -> dict[str, Any]:
    """The certificate of a runtime with this error, as a part of the bound of one of its differences."""
    model = exported(name)
    oracle, torch32 = PyTorchFloat64(model), PyTorchFloat32(model)
    labels = oracle.predict(IMAGES).argmax(axis=1)
    reference = Reference(oracle, torch32, IMAGES, labels, proven=Proven(model, IMAGES))
    assert reference.proven is not None
    most = reference.proven.bounds.differences[7, 3].max()
    runtime = Erring(model, error * float(most))
    return certificate(reference, [reference.compare(runtime, "none", 40, 1e9)], 1e9, least)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_error_above_the_bound_fails_and_one_below_does_not(name: str) -> None:
    small, large = compared(name, 0.3), compared(name, 1.2)
    assert small["passed"] is True
    assert 0.3 < small["configurations"][0]["part_of_bound"] < 1
    assert large["passed"] is False
    assert large["configurations"][0]["part_of_bound"] > 1
    with pytest.raises(
        ParityError, match=r"on image 7, classes (3 and \d|\d and 3), is .* IEEE float32 allows"
    ):
        check(large)


def test_too_few_certain_digits_fail() -> None:
    """With random weights, the margin of one of the images is below its bound."""
    enough, too_few = compared("mlp", 0.0, least=39 / 40), compared("mlp", 0.0, least=1.0)
    assert (enough["bound"]["certain"], enough["bound"]["images_bounded"]) == (39, 40)
    assert len(enough["bound"]["not_certain"]) == 1
    assert "39 of 40 answers are certain" in table(enough)
    assert enough["passed"] is True
    check(enough)
    assert too_few["passed"] is False
    with pytest.raises(
        ParityError, match=r"only 39 of 40 answers are certain .*; verify.proven asks for .* 1$"
    ):
        check(too_few)


def test_images_that_are_not_certain_are_listed_with_their_rival() -> None:
    proven = Proven(exported("mlp"), IMAGES)
    logits = np.zeros((40, 10))
    logits[:, 2] = 5
    logits[[9, 4], 8] = 4.9, 4.95
    proven.bounds, proven._exact = Bounds(logits, np.full((40, 10, 10), 0.3)), differences(logits)
    facts = proven.facts(0.9)
    assert facts["certain"] == 38
    assert [(f["image"], f["digit"], f["rival"], f["margin"], f["bound"]) for f in facts["not_certain"]] == [
        (4, 2, 8, 0.05, 0.3),
        (9, 2, 8, 0.1, 0.3),
    ]
    assert (facts["median_bound"], facts["largest_bound"]) == (0.3, 0.3)


def test_where_all_images_take_long_some_are_looked_at() -> None:
    model = exported("mlp")
    once = 784 * 20 + 20 * 10 + 10 * 10
    assert Proven(model, IMAGES, work=4.5 * once).images.tolist() == [0, 13, 26, 39]
    assert Proven(model, IMAGES, work=1.0).images.tolist() == [0]
    assert Proven(model, IMAGES, work=100 * once).images.tolist() == [*range(40)]


def nudge(name: str) -> Callable[[onnx.ModelProto], None]:
    """One number of a layer, to the next one that float32 has, or so far that no folding explains it."""

    def change(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == name)
        numbers = onnx.numpy_helper.to_array(tensor).copy()
        step = 1e-5 * np.abs(numbers.flat[0]) if "layers" in name else np.spacing(numbers.flat[0])
        numbers.flat[0] += step
        tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, name))

    return change


def promise(model: onnx.ModelProto) -> None:
    onnx.helper.set_model_props(model, {"safe_margin": "1e-6"})


def without_relu(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Relu")
    node.op_type = "Tanh"


@pytest.mark.parametrize(
    ("network", "change", "message"),
    [
        ("mlp", nudge("net.hidden2.weight"), "the numbers of net.hidden2.weight are not those"),
        ("mlp", nudge("net.output.bias"), "the numbers of net.output.weight are not those"),
        ("mlp", nudge("mean"), "normalizes otherwise"),
        ("mlp", promise, "a smaller safe margin than is proven"),
        ("mlp", without_relu, "no bound is known for the operators Cast, Div, Sub, Div, Gemm, Tanh, Gemm"),
        ("cnn", nudge("net.layers.3.weight"), "the numbers of net.layers.3.weight are not those"),
        ("separable", nudge("net.layers.3.weight"), "the numbers of net.layers.3.weight are not those"),
        ("cnn", nudge("std"), "normalizes otherwise"),
    ],
)
def test_a_file_with_other_numbers_or_operators_has_no_bound(
    network: str, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    file = onnx.load_from_string(exported(network).onnx)
    change(file)
    model = Model(file.SerializeToString(), exported(network).classifier)
    proven = Proven(model, IMAGES)
    assert message in proven.fault
    oracle, torch32 = PyTorchFloat64(model), PyTorchFloat32(model)
    reference = Reference(oracle, torch32, IMAGES, proven.bounds.digits, proven=proven)
    proof = certificate(reference, [reference.compare(torch32, "none", 40, 1e9)], 1e9)
    assert proof["passed"] is False
    with pytest.raises(ParityError, match=r"the bound is not proven of this file: .*"):
        check(proof)
