"""The multilayer perceptron as a network of PyTorch, and its gradient by hand."""

from collections.abc import Callable
from itertools import pairwise
from typing import Generic, TypeVar

import torch
from torch import nn

from digits.networks.dropout import Dropout

T = TypeVar("T")


class Perceptron(nn.Sequential):
    """Images [batch, 1, 28, 28] to log-probabilities [batch, classes]: linear, ReLU and dropout layers."""

    def __init__(self, hidden_sizes: list[int], dropout: float, classes: int = 10) -> None:
        super().__init__()
        sizes = [28 * 28, *hidden_sizes]
        self.add_module("flatten", nn.Flatten())
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            self.add_module(f"hidden{number}", nn.Linear(inputs, outputs))
            self.add_module(f"relu{number}", nn.ReLU())
            self.add_module(f"dropout{number}", Dropout(dropout))
        self.add_module("output", nn.Linear(sizes[-1], classes))
        self.add_module("log_softmax", nn.LogSoftmax(dim=1))


class Gradients(Generic[T]):
    """The gradient of a perceptron on the CPU, by hand.

    A call stands for the forward pass while training and `backward`. It takes three quarters of their time:
    on small batches, autograd's book-keeping for each operation takes as long as the operation.

    Args:
        of_loss: ∂loss/∂log-probabilities by log-probabilities and targets, as `Loss.gradient`; without it,
            and where it returns None, autograd finds that.
    """

    def __init__(
        self, net: Perceptron, of_loss: Callable[[torch.Tensor, T], torch.Tensor | None] = lambda *_: None
    ) -> None:
        self.of_loss = of_loss
        linear = [layer for layer in net if isinstance(layer, nn.Linear)]
        self.dropout = next((layer for layer in net if isinstance(layer, Dropout)), Dropout(0.0))
        self.weights = [layer.weight for layer in linear]
        self.biases = [layer.bias for layer in linear]
        self.weight_grads = [torch.empty_like(weight) for weight in self.weights]
        self.bias_grads = [torch.empty_like(bias) for bias in self.biases]

    def __call__(
        self, images: torch.Tensor, targets: T, loss: Callable[[torch.Tensor, T], torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of a batch and its log-probabilities; the parameters' `grad` is then that of this loss."""
        with torch.no_grad():
            values = self._hidden_values(images.flatten(1))
            logits = torch.addmm(self.biases[-1], values[-1], self.weights[-1].t())
            output = logits.log_softmax(dim=1)
            gradient = self.of_loss(output, targets)
            if gradient is not None:
                gradient = torch.ops.aten._log_softmax_backward_data(gradient, output, 1, output.dtype)
                value = loss(output, targets)
        if gradient is None:
            output = logits.requires_grad_().log_softmax(dim=1)
            value = loss(output, targets)
            (gradient,) = torch.autograd.grad(value, logits)
        with torch.no_grad():
            self._backward(gradient, values)
        return value.detach(), output.detach()

    def _hidden_values(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        values = [inputs]
        sizes = [len(inputs) * len(bias) for bias in self.biases[:-1]]
        factors = self.dropout.factors(sum(sizes)).split(sizes) if self.dropout.p else ()
        for number in range(len(sizes)):
            hidden = torch.addmm(self.biases[number], values[-1], self.weights[number].t()).relu_()
            if factors:
                hidden.mul_(factors[number].view_as(hidden))
            values.append(hidden)
        return values

    def _backward(self, gradient: torch.Tensor, values: list[torch.Tensor]) -> None:
        for number in reversed(range(len(values))):
            torch.mm(gradient.t(), values[number], out=self.weight_grads[number])
            torch.sum(gradient, 0, out=self.bias_grads[number])
            self.weights[number].grad = self.weight_grads[number]
            self.biases[number].grad = self.bias_grads[number]
            if number:
                # A hidden value is above 0 where ReLU let it through and dropout kept it.
                gradient = torch.mm(gradient, self.weights[number])
                gradient = torch.ops.aten.threshold_backward(gradient, values[number], 0)
                gradient.mul_(self.dropout.scale)
