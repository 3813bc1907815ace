"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from pydantic import NonNegativeFloat, PositiveFloat, model_validator

from digits.training.solver import Beta, Solver

if TYPE_CHECKING:
    import torch


class SGD(Solver):
    """w ← w - lr·(∇L + weight_decay·w), with optional (Nesterov) momentum as in `torch.optim.SGD`."""

    lr: PositiveFloat
    momentum: Beta
    nesterov: bool
    weight_decay: NonNegativeFloat

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.SGD(weights, **self.model_dump(), fused=True)
