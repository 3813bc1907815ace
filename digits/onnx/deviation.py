"""Where a runtime first computes something else than the network: the layer, and the number in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from digits.onnx import layers
from digits.onnx.bound import Floats
from digits.onnx.contract import OUTPUT
from digits.onnx.figures import short
from digits.onnx.propagation import OF_NORMALIZATION, forward
from digits.onnx.proven import leading_to
from digits.onnx.rounding import gamma
from digits.onnx.runtime import Model, Runtime

COMPARED = ("Gemm", "Conv", "Relu", "ReduceMean")
TINY = 2.0**-126


class Step(NamedTuple):
    """What a layer answers for some images, and how far a runtime may be from it: [n, *outputs]."""

    exact: Floats
    most: Floats


class Deviation(NamedTuple):
    """The first number that is further from the exact one than float32 can be."""

    layer: str
    operator: str
    image: int
    place: list[int]
    expected: float
    got: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"{self.operator} {self.layer!r} is the first layer that leaves its bound, at {self.place} of "
            f"image {self.image}: expected {self.expected:g}, got {self.got:g}, "
            f"allowed error {self.allowed:.1e}"
        )


def first(runtime: type[Runtime], level: str, model: Model, images: NDArray[np.uint8]) -> Deviation | None:
    """Look at all layers of a copy of the graph that puts them out, for these raw images.

    Returns:
        None where every layer stays within its bound, log-softmax aside.

    Raises:
        RuntimeFailedError: the runtime does not take the copy, or does not say what its layers answer.
    """
    steps = leading_to(onnx.load_from_string(model.onnx).graph, OUTPUT)
    normalization = [node for node in steps if node.op_type == "Div"][-1:]
    nodes = normalization + [node for node in steps if node.op_type in COMPARED]
    names = [node.output[0] for node in nodes]
    loaded = runtime(Model(_put_out(model.onnx, names), model.classifier), level)
    try:
        found = loaded.values(images, names)
    finally:
        loaded.close()
    for node, step, answer in zip(nodes, _steps(model, images), found, strict=True):
        got = np.asarray(answer, np.float64).reshape(step.exact.shape)
        excess = np.where(np.isfinite(got), np.abs(got - step.exact) / step.most, np.inf)
        if excess.max() > 1:
            image, *place = (int(i) for i in np.unravel_index(excess.argmax(), excess.shape))
            numbers = [short(float(a[(image, *place)])) for a in (step.exact, got, step.most)]
            weight = node.input[1] if node.op_type in ("Gemm", "Conv") else node.output[0]
            return Deviation(weight.removesuffix(".weight"), node.op_type, image, place, *numbers)
    return None


def _put_out(model: bytes, names: Sequence[str]) -> bytes:
    copy = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
    known = {value.name: value for value in copy.graph.value_info}
    copy.graph.output.extend(known[name] for name in names)
    return bytes(copy.SerializeToString())


@torch.inference_mode()
def _steps(model: Model, images: NDArray[np.uint8]) -> Iterator[Step]:
    """Of the normalized images, then of each layer, before its ReLU and behind it."""
    mean, std = float(model.classifier.mean), float(model.classifier.std)
    pictures = torch.from_numpy(images).double() / 255
    size = (pictures + abs(mean)) / std
    yield Step(((pictures - mean) / std).numpy(), (gamma(OF_NORMALIZATION) * size + TINY).numpy())
    network = layers.of(model.classifier)
    for layer, answer in zip(network, forward(network, pictures, mean, std), strict=True):
        yield Step(answer.outputs.numpy(), answer.error.numpy())
        if layer.rectified:
            yield Step(answer.outputs.clamp(min=0).numpy(), (answer.total + TINY).numpy())
