"""The multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from digits.common.numbers import PositiveInt
from digits.networks.model import Model

if TYPE_CHECKING:
    from torch import nn


class FeedForwardNet(Model):
    """Linear layers, each followed by ReLU and dropout; a linear layer and log-softmax at the end."""

    hidden_sizes: Annotated[list[PositiveInt], Field(description="units of each hidden layer; may be empty")]
    dropout: Annotated[float, Field(ge=0, lt=1, description="probability that a hidden unit is zeroed")]

    def build(self, classes: int = 10) -> nn.Module:
        from digits.networks.perceptron import Perceptron

        return Perceptron(self.hidden_sizes, self.dropout, classes)
