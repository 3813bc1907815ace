"""Networks that tell digits apart, chosen by `train.model`.

Every network takes normalized images, float32 [batch, 1, 28, 28], and returns log-probabilities [batch, 10].
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from digits.registry import Section, discover

if TYPE_CHECKING:
    from torch import nn


class Model(Section):
    """What a network is made of."""

    @abstractmethod
    def build(self) -> nn.Module:
        """A new network with PyTorch's default initial weights, drawn from the global generator."""


MODELS = discover(__name__, Model)

from digits.models.mlp import FeedForwardNet  # noqa: E402

__all__ = ["MODELS", "FeedForwardNet", "Model"]
