"""Losses, chosen by `train.loss`; each acts on what the network returns."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from digits.registry import Section, discover

if TYPE_CHECKING:
    import torch


class Loss(Section):
    """The values of one loss."""

    @abstractmethod
    def __call__(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean loss over the batch, a scalar.

        `log_probabilities` is float [batch, 10], `labels` int64 [batch] in 0..9.
        """


LOSSES = discover(__name__, Loss)
