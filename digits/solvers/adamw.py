"""Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from digits.solvers import Solver

if TYPE_CHECKING:
    import torch

Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamW(Solver):
    """Loshchilov and Hutter, Decoupled Weight Decay Regularization (ICLR 2019), as in `torch.optim.AdamW`."""

    lr: PositiveFloat
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)]
    eps: PositiveFloat
    weight_decay: NonNegativeFloat

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        first, second = self.betas
        return torch.optim.AdamW(
            weights,
            lr=self.lr,
            betas=(first, second),
            eps=self.eps,
            weight_decay=self.weight_decay,
            fused=True,
        )
