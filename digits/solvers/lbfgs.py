"""Limited-memory BFGS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat

from digits.common.numbers import PositiveInt
from digits.training.solver import LargeBatch, Solver

if TYPE_CHECKING:
    import torch


class LBFGS(Solver):
    """Liu and Nocedal, On the Limited Memory BFGS Method (1989), as in `torch.optim.LBFGS`."""

    lr: PositiveFloat
    """With a line search, its first trial; else the step."""
    batch_size: LargeBatch
    max_iter: PositiveInt
    """On each batch before the next."""
    max_eval: PositiveInt
    """Of a batch, in its iterations and line searches together."""
    history_size: PositiveInt
    tolerance_grad: NonNegativeFloat
    tolerance_change: NonNegativeFloat
    line_search: Literal["strong_wolfe", "none"]

    looks_again: ClassVar[bool] = True

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        values = self.model_dump(exclude={"batch_size", "line_search"})
        line_search = None if self.line_search == "none" else self.line_search
        return torch.optim.LBFGS(weights, **values, line_search_fn=line_search)

    def step(self, optimizer: torch.optim.Optimizer, evaluate: Callable[[], torch.Tensor]) -> None:
        optimizer.step(lambda: float(evaluate()))
