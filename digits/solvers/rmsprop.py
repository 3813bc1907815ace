"""Gradients divided by their running root mean square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from digits.training.solver import Beta, Solver

if TYPE_CHECKING:
    import torch


class RMSprop(Solver):
    """Hinton, Neural Networks for Machine Learning, lecture 6e (2012), as in `torch.optim.RMSprop`."""

    lr: PositiveFloat
    alpha: Beta
    eps: PositiveFloat
    momentum: Beta
    centered: bool
    weight_decay: NonNegativeFloat

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.RMSprop(weights, **self.model_dump(), foreach=True)
