"""Adam, with the decay in the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from digits.training.solver import Betas, Solver

if TYPE_CHECKING:
    import torch


class Adam(Solver):
    """Kingma and Ba, Adam (ICLR 2015), as in `torch.optim.Adam`; `weight_decay` is part of the gradient."""

    lr: PositiveFloat
    betas: Betas
    eps: PositiveFloat
    weight_decay: NonNegativeFloat
    amsgrad: bool

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.Adam(weights, **self.model_dump(), fused=True)
