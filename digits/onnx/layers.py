"""A classifier as the sums that it is made of, in float64: what an error bound has to know of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

from digits.common.errors import DigitsError
from digits.networks.classifier import Classifier
from digits.networks.convolutional import Convolutional
from digits.networks.dropout import Dropout

OF_A_SUM = 3
"""Roundings of a term besides the additions: its product, and two for what compensated sums add."""
OF_BATCH_NORM = 20
"""More of them in batch normalization: eps, its sum, a reciprocal root within 4 ulp (8), three products, a
division or two, a difference, a sum, and as many again as folding could add."""


class UnknownNetworkError(DigitsError):
    """No bound is known for a network, as it has a layer of another kind."""


@dataclass(frozen=True)
class Layer(ABC):
    """z = W a + b, with a ReLU behind it where it is `rectified`. Arrays are float64."""

    shape: tuple[int, ...]
    """Of `a`, without the batch."""
    weight: Tensor
    bias: Tensor
    bias_size: Tensor
    """The sum of the absolute values of the terms that `bias` is made of."""
    terms: int
    """Products in the longest sum."""
    roundings: int
    """The most that any term of the sum passes through, in any order."""
    largest: float
    """Of all numbers that a runtime may hold for this layer, the largest absolute value; at least 1."""
    rectified: bool = False

    @abstractmethod
    def _apply(self, values: Tensor, weight: Tensor) -> Tensor:
        """W a, of values [n, *shape]."""

    @abstractmethod
    def _back(self, rows: Tensor) -> Tensor:
        """Wᵀ r, of rows [n, *outputs]."""

    def values(self, inputs: Tensor) -> Tensor:
        """z = W a + b, of `a` [n, *shape]."""
        found: Tensor = self._apply(inputs, self.weight) + self.bias
        return found

    def sizes(self, inputs: Tensor) -> Tensor:
        """|W| a: how much the outputs change at most where each input changes by at most `a`."""
        return self._apply(inputs, self.weight.abs())

    def back(self, rows: Tensor) -> Tensor:
        """Rows of a product of later layers, [n, r, *outputs], times W: [n, r, *shape]."""
        found: Tensor = self._back(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
        return found


class Dense(Layer):
    """A linear layer; its inputs may have any shape."""

    def _apply(self, values: Tensor, weight: Tensor) -> Tensor:
        found: Tensor = values.flatten(1) @ weight.T
        return found

    def _back(self, rows: Tensor) -> Tensor:
        found: Tensor = (rows @ self.weight).unflatten(1, self.shape)
        return found


@dataclass(frozen=True)
class Convolution(Layer):
    """A convolution with zeros around the image; what it takes from there is no term of a sum."""

    stride: int = 1
    padding: int = 0

    def _apply(self, values: Tensor, weight: Tensor) -> Tensor:
        found: Tensor = functional.conv2d(values, weight, stride=self.stride, padding=self.padding)
        return found

    def _back(self, rows: Tensor) -> Tensor:
        size = (len(rows), *self.shape)
        found: Tensor = conv2d_input(size, self.weight, rows, stride=self.stride, padding=self.padding)
        return found

    def normalized(self, norm: nn.BatchNorm2d) -> Convolution:
        """With the batch normalization behind it: weight · (z - mean) / √(var + eps) + bias."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        roots = (norm.running_var.double() + norm.eps).sqrt()
        scale, shift, mean = (
            numbers.detach().double()[:, None, None]
            for numbers in (norm.weight.double() / roots, norm.bias, norm.running_mean)
        )
        held = (norm.weight, norm.bias, norm.running_mean, norm.running_var, 1 / roots, scale)
        return replace(
            self,
            weight=self.weight * scale[..., None],
            bias=shift + scale * (self.bias - mean),
            bias_size=shift.abs() + scale.abs() * (mean.abs() + self.bias_size),
            roundings=self.roundings + OF_BATCH_NORM,
            largest=self.largest * _largest(*held),
        )


class Mean(Layer):
    """The mean of each channel's pixels."""

    def _apply(self, values: Tensor, weight: Tensor) -> Tensor:
        return values.mean((2, 3))

    def _back(self, rows: Tensor) -> Tensor:
        return (rows / self.terms)[:, :, None, None].expand(-1, *self.shape)


class _Mean(nn.Module):
    """Stands for a mean over the pixels, which is no module in PyTorch's networks."""


def of(classifier: Classifier) -> list[Layer]:
    """The layers of a classifier between its normalization and its log-softmax, in order.

    Raises:
        UnknownNetworkError: it has a module that this does not know.
    """
    *modules, last = _modules(classifier.net)
    if not isinstance(last, nn.LogSoftmax) or last.dim != 1:
        raise UnknownNetworkError(f"{type(last).__name__} at the end, not log-softmax")
    found: list[Layer] = []
    shape: tuple[int, ...] = (1, 28, 28)
    for module in modules:
        if isinstance(module, nn.Linear | nn.Conv2d | _Mean):
            found.append(_layer(module, shape))
            shape = _shape_behind(found[-1])
        elif isinstance(module, nn.BatchNorm2d) and isinstance(found[-1], Convolution):
            found[-1] = found[-1].normalized(module)
        elif isinstance(module, nn.ReLU):
            found[-1] = replace(found[-1], rectified=True)
        elif not isinstance(module, nn.Flatten | Dropout):
            raise UnknownNetworkError(f"no error bound is known for the layer {type(module).__name__}")
    return found


def work(network: Sequence[Layer]) -> int:
    """Multiplications for the answer to one image."""
    outputs = [math.prod(layer.shape) for layer in network[1:]] + [len(network[-1].bias)]
    return sum(layer.terms * count for layer, count in zip(network, outputs, strict=True))


def _modules(net: nn.Module) -> Iterable[nn.Module]:
    if isinstance(net, nn.Sequential):
        return [*net]
    if isinstance(net, Convolutional):
        return [*net.layers, _Mean(), net.output, nn.LogSoftmax(dim=1)]
    raise UnknownNetworkError(f"no error bound is known for the network {type(net).__name__}")


def _layer(module: nn.Module, shape: tuple[int, ...]) -> Layer:
    if isinstance(module, _Mean):
        none, terms = torch.zeros((), dtype=torch.float64), math.prod(shape[1:])
        return Mean(shape, none, none, none, terms, terms + OF_A_SUM, 1.0)
    assert isinstance(module, nn.Linear | nn.Conv2d)
    weight = module.weight.detach().double()
    terms = weight[0].numel()
    if isinstance(module, nn.Conv2d):
        weight = ungrouped(weight, module.groups)
    bias = torch.zeros(len(weight)) if module.bias is None else module.bias.detach()
    bias = bias.double() if isinstance(module, nn.Linear) else bias.double()[:, None, None]
    common = (shape, weight, bias, bias.abs(), terms, terms + OF_A_SUM, _largest(weight, bias))
    if isinstance(module, nn.Linear):
        return Dense(*common)
    stride, padding = module.stride[0], module.padding[0]
    assert isinstance(padding, int)
    plain = nn.Conv2d(1, 1, module.kernel_size[0], stride, padding)
    for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode"):
        if getattr(module, name) != getattr(plain, name):
            raise UnknownNetworkError(f"no error bound is known for a convolution with this {name}")
    return Convolution(*common, stride=stride, padding=padding)


def ungrouped(weight: Tensor, groups: int) -> Tensor:
    """Weights of a convolution in groups as those of one without: zeros for the other groups' channels."""
    if groups == 1:
        return weight
    inputs = weight.shape[1]
    whole = weight.new_zeros(len(weight), inputs * groups, *weight.shape[2:])
    for group, rows in enumerate(weight.chunk(groups)):
        first = group * len(rows)
        whole[first : first + len(rows), group * inputs : (group + 1) * inputs] = rows
    return whole


def _shape_behind(layer: Layer) -> tuple[int, ...]:
    return tuple(layer.values(torch.zeros(1, *layer.shape, dtype=torch.float64)).shape[1:])


def _largest(*held: Tensor) -> float:
    return max(1.0, *(float(numbers.detach().abs().max()) for numbers in held))
