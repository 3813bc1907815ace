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

    The network's parameters must stay the tensors that they are; their values may change.

    Args:
        of_loss: ∂loss/∂log-probabilities by log-probabilities and targets, as `Loss.gradient`; without it,
            and where it returns None, autograd finds that.
    """

    def __init__(
        self, net: Perceptron, of_loss: Callable[[torch.Tensor, T], torch.Tensor | None] = lambda *_: None
    ) -> None:
        self.of_loss = of_loss
        # Python has no other names for these, and finding them takes longer than they do.
        self._log_softmax_backward = torch.ops.aten._log_softmax_backward_data.default
        self._relu_backward = torch.ops.aten.threshold_backward.default
        linear = [layer for layer in net if isinstance(layer, nn.Linear)]
        self.dropout = next((layer for layer in net if isinstance(layer, Dropout)), Dropout(0.0))
        self.weights = [layer.weight for layer in linear]
        self.biases = [layer.bias for layer in linear]
        self.transposed = [weight.detach().t() for weight in self.weights]
        self.weight_grads = [torch.empty_like(weight) for weight in self.weights]
        self.bias_grads = [torch.empty_like(bias) for bias in self.biases]
        self.widths = [len(bias) for bias in self.biases]
        self._buffers: dict[int, list[torch.Tensor]] = {}

    def noise(self, images: int) -> torch.Tensor | None:
        """What dropout multiplies the hidden values of a batch with; draws from the global generator."""
        return self.dropout.factors(images * sum(self.widths[:-1])) if self.dropout.p else None

    def __call__(
        self,
        images: torch.Tensor,
        targets: T,
        loss: Callable[[torch.Tensor, T], torch.Tensor],
        noise: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of a batch and its log-probabilities; the parameters' `grad` is then that of this loss.

        `noise` is what the method of that name drew for this batch; without it, it is drawn now.
        """
        with torch.no_grad():
            inputs = images.flatten(1)
            values = self._hidden_values(inputs, self.noise(len(inputs)) if noise is None else noise)
            logits = torch.addmm(self.biases[-1], values[-1], self.transposed[-1])
            output = logits.log_softmax(dim=1)
            gradient = self.of_loss(output, targets)
            if gradient is not None:
                gradient = self._log_softmax_backward(gradient, output, 1, output.dtype)
                value = loss(output, targets)
        if gradient is None:
            output = logits.requires_grad_().log_softmax(dim=1)
            value = loss(output, targets)
            (gradient,) = torch.autograd.grad(value, logits)
        with torch.no_grad():
            self._backward(gradient, values)
        return value.detach(), output.detach()

    def _hidden_values(self, inputs: torch.Tensor, noise: torch.Tensor | None) -> list[torch.Tensor]:
        """The inputs and what each hidden layer makes of them, in memory that is used again."""
        count, widths = len(inputs), self.widths[:-1]
        if count not in self._buffers:
            self._buffers[count] = [inputs.new_empty(count, width) for width in widths]
        hidden = self._buffers[count]
        values = [inputs, *hidden]
        factors = () if noise is None else noise.split([count * width for width in widths])
        for number, layer in enumerate(hidden):
            torch.addmm(self.biases[number], values[number], self.transposed[number], out=layer).relu_()
            if factors:
                layer.mul_(factors[number].view_as(layer))
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
                gradient = self._relu_backward(gradient, values[number], 0)
                gradient.mul_(self.dropout.scale)
