"""Resilient propagation: only the signs of the gradient count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, PositiveFloat, model_validator

from digits.common.numbers import PositiveInt
from digits.training.solver import LargeBatch, Solver

if TYPE_CHECKING:
    import torch


class Rprop(Solver):
    """Riedmiller and Braun, RPROP (ICNN 1993), as in `torch.optim.Rprop`; `lr` is a weight's first step."""

    lr: PositiveFloat
    etas: Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)]
    """What a step is multiplied with where the sign changed, and where it stayed."""
    step_sizes: Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)]
    """The smallest and the largest."""
    batch_size: LargeBatch
    steps: PositiveInt
    """On each batch before the next."""

    looks_again: ClassVar[bool] = True
    own_rate: ClassVar[bool] = True

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.etas[0] < 1 < self.etas[1]:
            raise ValueError(f"etas is {self.etas}; the first must be below 1, the second above")
        if not self.step_sizes[0] <= self.lr <= self.step_sizes[1]:
            raise ValueError(f"lr is {self.lr}; it must be within step_sizes, {self.step_sizes}")
        return self

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        etas, step_sizes = (self.etas[0], self.etas[1]), (self.step_sizes[0], self.step_sizes[1])
        return torch.optim.Rprop(weights, lr=self.lr, etas=etas, step_sizes=step_sizes, foreach=True)

    def step(self, optimizer: torch.optim.Optimizer, evaluate: Callable[[], torch.Tensor]) -> None:
        for _ in range(self.steps):
            evaluate()
            optimizer.step()
