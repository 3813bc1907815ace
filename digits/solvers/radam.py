"""Adam that begins without adapting, as long as there is little to adapt to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from digits.training.solver import Betas, Solver

if TYPE_CHECKING:
    import torch


class RAdam(Solver):
    """Liu et al., On the Variance of the Adaptive Learning Rate (ICLR 2020), as in `torch.optim.RAdam`."""

    lr: PositiveFloat
    betas: Betas
    eps: PositiveFloat
    weight_decay: NonNegativeFloat

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.RAdam(weights, **self.model_dump(), foreach=True)
