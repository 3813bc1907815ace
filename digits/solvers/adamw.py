"""Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from digits.training.solver import Betas, Solver

if TYPE_CHECKING:
    import torch


class AdamW(Solver):
    """Loshchilov and Hutter, Decoupled Weight Decay Regularization (ICLR 2019), as in `torch.optim.AdamW`."""

    lr: PositiveFloat
    betas: Betas
    eps: PositiveFloat
    weight_decay: NonNegativeFloat

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.AdamW(weights, **self.model_dump(), fused=True)
