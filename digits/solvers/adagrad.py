"""A rate for each weight that shrinks as its gradients add up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from digits.training.solver import Solver

if TYPE_CHECKING:
    import torch


class AdaGrad(Solver):
    """Duchi, Hazan and Singer, Adaptive Subgradient Methods (JMLR 2011), as in `torch.optim.Adagrad`."""

    lr: PositiveFloat
    lr_decay: NonNegativeFloat
    initial_accumulator_value: NonNegativeFloat
    eps: PositiveFloat
    weight_decay: NonNegativeFloat

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.Adagrad(weights, **self.model_dump(), fused=True)
