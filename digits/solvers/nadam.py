"""Adam with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from digits.training.solver import Betas, Solver

if TYPE_CHECKING:
    import torch


class NAdam(Solver):
    """Dozat, Incorporating Nesterov Momentum into Adam (ICLR workshop 2016), as in `torch.optim.NAdam`."""

    lr: PositiveFloat
    betas: Betas
    eps: PositiveFloat
    weight_decay: NonNegativeFloat
    momentum_decay: NonNegativeFloat

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.NAdam(weights, **self.model_dump(), foreach=True)
