"""What a model has to be: the values that a network is made of."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from digits.common.section import Section

if TYPE_CHECKING:
    from torch import nn


class Model(Section):
    """What a network is made of; each file of `digits/models` has one."""

    @abstractmethod
    def build(self, classes: int = 10) -> nn.Module:
        """A new network with PyTorch's default initial weights, drawn from the global generator.

        It takes normalized images, float32 [batch, 1, 28, 28], and returns log-probabilities
        [batch, classes].
        """
