"""The multilayer perceptron."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PositiveInt

from digits.models import Model

if TYPE_CHECKING:
    from torch import nn


class FeedForwardNet(Model):
    """Linear layers, each followed by ReLU and dropout; a linear layer and log-softmax at the end."""

    hidden_sizes: Annotated[list[PositiveInt], Field(description="units of each hidden layer; may be empty")]
    dropout: Annotated[float, Field(ge=0, lt=1, description="probability that a hidden unit is zeroed")]

    def build(self) -> nn.Module:
        from torch import nn

        from digits.dropout import Dropout

        layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
        sizes = [28 * 28, *self.hidden_sizes]
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            layers[f"hidden{number}"] = nn.Linear(inputs, outputs)
            layers[f"relu{number}"] = nn.ReLU()
            layers[f"dropout{number}"] = Dropout(self.dropout)
        layers["output"] = nn.Linear(sizes[-1], 10)
        layers["log_softmax"] = nn.LogSoftmax(dim=1)
        net = nn.Sequential()
        for name, layer in layers.items():
            net.add_module(name, layer)
        return net
