"""A fault planted in a layer is found in that layer, by what the runtime itself puts out."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from digits.models.cnn import ConvolutionalNet
from digits.models.mlp import FeedForwardNet
from digits.networks.classifier import Classifier
from digits.onnx import deviation
from digits.onnx.answers import ParityError
from digits.onnx.certificate import certificate, check
from digits.onnx.export import to_onnx
from digits.onnx.parity import Reference
from digits.onnx.proven import Proven
from digits.onnx.runtime import Model, Runtime, find
from digits.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from digits.runtimes.pytorch_float32 import PyTorchFloat32
from digits.runtimes.pytorch_float64 import PyTorchFloat64
from tests.digits.onnx.bounded import any_familiarity, normalizing

IMAGES = np.random.default_rng(1).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)
NETWORKS = {
    "mlp": FeedForwardNet(hidden_sizes=[20, 10], dropout=0.2),
    "cnn": ConvolutionalNet(channels=[3, 4], dropout=0.2),
}
Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    found = {}
    for name, network in NETWORKS.items():
        torch.manual_seed(1)
        classifier = Classifier(normalizing(network.build()), 0.1307, 0.3081, any_familiarity()).eval()
        found[name] = Model(to_onnx(classifier, 20, {}).SerializeToString(), classifier)
    return found


def with_fault(change: Change, runtime: type[Runtime] = OnnxRuntimeCpu) -> type[Runtime]:
    """A runtime that computes something else in one place, whatever model it loads."""

    class Faulty(runtime):  # type: ignore[valid-type, misc]
        def __init__(self, model: Model, level: str) -> None:
            file = onnx.load_from_string(model.onnx)
            change(file)
            super().__init__(Model(file.SerializeToString(), model.classifier), level)

    return Faulty


TELLING = ["onnxruntime_cpu", "onnx_reference", "openvino"]
"""The runtimes that say what their layers answer."""


def of_name(name: str) -> type[Runtime]:
    if name == "openvino":
        pytest.importorskip("openvino")
    return find(name)


def number(name: str, *index: int | slice) -> Change:
    """Another number in this place of a tensor."""

    def change(file: onnx.ModelProto) -> None:
        tensor = next(t for t in file.graph.initializer if t.name == name)
        numbers = onnx.numpy_helper.to_array(tensor).copy()
        numbers[index] += np.float32(0.01)
        tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, name))

    return change


def operator(old: str, new: str, place: int = 0) -> Change:
    """Another operator than the one that stands there."""

    def change(file: onnx.ModelProto) -> None:
        [node for node in file.graph.node if node.op_type == old][place].op_type = new

    return change


FAULTS: list[tuple[str, Change, str, str, list[int] | None]] = [
    ("mlp", number("mean"), "Div", "div_1", None),
    ("mlp", number("net.hidden1.weight", 3, 400), "Gemm", "net.hidden1", [3]),
    ("mlp", number("net.hidden2.bias", 7), "Gemm", "net.hidden2", [7]),
    ("mlp", number("net.output.weight", 9, slice(None)), "Gemm", "net.output", [9]),
    ("mlp", operator("Relu", "LeakyRelu", 1), "LeakyRelu", "relu_1", None),
    ("cnn", number("net.layers.3.weight", 1, slice(None), 1, 1), "Conv", "net.layers.3", None),
    ("cnn", operator("Relu", "Abs"), "Abs", "relu", None),
    ("cnn", operator("ReduceMean", "ReduceMax"), "ReduceMax", "mean_1", None),
]


@pytest.mark.parametrize("name", TELLING)
@pytest.mark.parametrize(("network", "change", "kind", "layer", "place"), FAULTS)
def test_a_fault_is_found_in_its_layer(
    models: dict[str, Model],
    network: str,
    change: Change,
    kind: str,
    layer: str,
    place: list[int] | None,
    name: str,
) -> None:
    runtime = of_name(name)
    for level in runtime.levels:
        found = deviation.first(with_fault(change, runtime), level, models[network], IMAGES)
        assert found is not None
        assert found.layer == layer
        assert place in (None, found.place)
        assert abs(found.got - found.expected) > found.allowed


@pytest.mark.parametrize("name", TELLING)
@pytest.mark.parametrize("network", NETWORKS)
def test_the_layers_of_what_is_right_stay_within_their_bounds(
    models: dict[str, Model], network: str, name: str
) -> None:
    runtime = of_name(name)
    for level in runtime.levels:
        assert deviation.first(runtime, level, models[network], IMAGES) is None


def certified(model: Model, change: Change) -> dict[str, object]:
    oracle = PyTorchFloat64(model)
    labels = oracle.predict(IMAGES).argmax(axis=1)
    reference = Reference(oracle, PyTorchFloat32(model), IMAGES, labels, proven=Proven(model, IMAGES))
    faulty = with_fault(change)(model, "enabled")
    return certificate(reference, [reference.compare(faulty, "enabled", 5, 1e9)], 1e9)


def test_the_certificate_names_the_layer(models: dict[str, Model]) -> None:
    proof = certified(models["mlp"], number("net.hidden2.weight", 4, slice(None)))
    with pytest.raises(
        ParityError, match=r"Gemm 'net.hidden2' is the first layer .* at \[4\] of image \d: expected .*, got "
    ):
        check(proof)


def test_a_fault_behind_the_last_layer_is_in_none(models: dict[str, Model]) -> None:
    proof = certified(models["mlp"], operator("LogSoftmax", "Softmax"))
    with pytest.raises(ParityError, match="no layer leaves its bound"):
        check(proof)


def test_a_number_that_is_none_is_a_deviation(models: dict[str, Model]) -> None:
    class Broken(OnnxRuntimeCpu):
        def values(self, images: NDArray[np.uint8], names: list[str]) -> list[NDArray[np.floating]]:  # type: ignore[override]
            found = super().values(images, names)
            found[3][2, 6] = np.nan
            return found

    found = deviation.first(Broken, "enabled", models["mlp"], IMAGES)
    assert found is not None
    assert (found.layer, found.image, found.place) == ("net.hidden2", 2, [6])
