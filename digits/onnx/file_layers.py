"""The layers of a smaller model as they stand in its file: half precision, or 8-bit integers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from digits.onnx.contract import OUTPUT
from digits.onnx.layers import OF_A_SUM, Convolution, Dense, Layer, Mean, UnknownNetworkError, ungrouped
from digits.onnx.proven import leading_to

Numbers = NDArray[np.float64]
BEFORE = ("Cast", "Div", "Sub", "Div")


class Grid(NamedTuple):
    """The numbers that 8 bits stand for: scale · (q - zero), q from 0 to 255."""

    scale: float
    zero: int

    def nearest(self, values: Tensor) -> Tensor:
        steps = (values / self.scale).round() + self.zero
        return (steps.clamp(0, 255) - self.zero) * self.scale


class Relu(NamedTuple):
    """A ReLU that stands by itself, between two grids."""


Step = Layer | Grid | Relu


class File(NamedTuple):
    """What a file computes between the raw image and log-softmax."""

    mean: float
    std: float
    steps: list[Step]


def read(content: bytes) -> File:
    """A converted model, with its own numbers exactly, in the order in which it computes.

    Raises:
        UnknownNetworkError: it has an operator of a kind, or with an attribute, that this does not know.
    """
    graph = onnx.load_from_string(content).graph
    held: dict[str, NDArray[Any]] = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    nodes = []
    for node in leading_to(graph, OUTPUT):
        if node.op_type == "DequantizeLinear" and node.input[0] in held:
            held[node.output[0]] = _dequantized(node, held)
        else:
            nodes.append(node)
    first = [node.op_type for node in nodes[: len(BEFORE)]]
    if tuple(first) != BEFORE or float(held[nodes[1].input[1]]) != 255:
        raise UnknownNetworkError(f"no bound is known for a file that begins with {', '.join(first)}")
    mean, std = (float(held[node.input[1]]) for node in nodes[2:4])
    ends = [node.op_type for node in nodes[len(BEFORE) :] if node.op_type != "Cast"]
    if ends[-1:] != ["LogSoftmax"]:
        raise UnknownNetworkError("no bound is known for a file that does not end with LogSoftmax")
    return File(mean, std, list(_steps(nodes[len(BEFORE) :], held)))


def _dequantized(node: onnx.NodeProto, held: Mapping[str, NDArray[Any]]) -> Numbers:
    values, scale, zero = (held[name].astype(np.float64) for name in node.input)
    if scale.ndim:
        scale, zero = (a.reshape(-1, *[1] * (values.ndim - 1)) for a in (scale, zero))
    found: Numbers = (values - zero) * scale
    return found


def _steps(nodes: Sequence[onnx.NodeProto], held: Mapping[str, NDArray[Any]]) -> Iterator[Step]:
    shape: tuple[int, ...] = (1, 28, 28)
    for node in nodes:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type in ("Gemm", "Conv", "ReduceMean"):
            layer = _layer(node, shape, held, attributes)
            shape = tuple(layer.values(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])
            yield layer
        elif node.op_type == "Relu":
            yield Relu()
        elif node.op_type == "QuantizeLinear":
            scale, zero = (held[name] for name in node.input[1:])
            if scale.size != 1 or zero.dtype != np.uint8:
                raise UnknownNetworkError(
                    "no bound is known for other grids than one of uint8 for all numbers"
                )
            yield Grid(float(scale), int(zero))
        elif node.op_type not in ("Cast", "Reshape", "Flatten", "DequantizeLinear", "LogSoftmax"):
            raise UnknownNetworkError(f"no bound is known for the operator {node.op_type}")


def _layer(
    node: onnx.NodeProto,
    shape: tuple[int, ...],
    held: Mapping[str, NDArray[Any]],
    attributes: Mapping[str, Any],
) -> Layer:
    if node.op_type == "ReduceMean":
        none, terms = torch.zeros((), dtype=torch.float64), math.prod(shape[1:])
        if len(shape) != 3 or held[node.input[1]].tolist() != [2, 3] or attributes.get("keepdims", 1):
            raise UnknownNetworkError("no bound is known for a mean over other axes than the pixels")
        return Mean(shape, none, none, none, terms, terms + OF_A_SUM, 1.0)
    weight = torch.from_numpy(held[node.input[1]].astype(np.float64))
    bias = torch.zeros(len(weight), dtype=torch.float64)
    if len(node.input) > 2:
        bias = torch.from_numpy(held[node.input[2]].astype(np.float64))
    terms, largest = weight[0].numel(), max(1.0, float(weight.abs().max()), float(bias.abs().max()))
    if node.op_type == "Gemm":
        plain = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
        if {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | dict(attributes) != plain:
            raise UnknownNetworkError(f"no bound is known for a Gemm with {dict(attributes)}")
        return Dense(shape, weight, bias, bias.abs(), terms, terms + OF_A_SUM, largest)
    pads, strides = (set(attributes.get(name, [0])) for name in ("pads", "strides"))
    if len(pads) > 1 or len(strides) > 1 or set(attributes.get("dilations", [1])) != {1}:
        raise UnknownNetworkError(f"no bound is known for a convolution with {dict(attributes)}")
    weight, bias = ungrouped(weight, attributes.get("group", 1)), bias[:, None, None]
    common = (shape, weight, bias, bias.abs(), terms, terms + OF_A_SUM, largest)
    return Convolution(*common, stride=strides.pop(), padding=pads.pop())


def rectified(steps: Sequence[Step]) -> list[Layer]:
    """The layers of a file without grids, each with its ReLU.

    Raises:
        UnknownNetworkError: it has grids.
    """
    found: list[Layer] = []
    for step in steps:
        if isinstance(step, Relu) and found:
            found[-1] = replace(found[-1], rectified=True)
        elif isinstance(step, Layer):
            found.append(step)
        else:
            raise UnknownNetworkError(f"a {type(step).__name__} where a layer is expected")
    return found
