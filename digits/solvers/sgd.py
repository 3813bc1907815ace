"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

    def step(self, optimizer: torch.optim.Optimizer, evaluate: Callable[[], torch.Tensor]) -> None:
        evaluate()
        if self.momentum:
            optimizer.step()
            return
        # Without momentum there is no state to look after, which takes the optimizer longer than the update.
        import torch
        from torch.optim.sgd import sgd

        with torch.no_grad():
            for group in optimizer.param_groups:
                weights = [weight for weight in group["params"] if weight.grad is not None]
                sgd(
                    weights,
                    [weight.grad for weight in weights],
                    [None] * len(weights),
                    fused=True,
                    lr=group["lr"],
                    weight_decay=self.weight_decay,
                    momentum=0.0,
                    dampening=0.0,
                    nesterov=False,
                    maximize=False,
                )
