"""Steps as large as the ones before, in units of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from digits.training.solver import Beta, Solver

if TYPE_CHECKING:
    import torch


class AdaDelta(Solver):
    """Zeiler, ADADELTA (2012), as in `torch.optim.Adadelta`; `lr` scales a step that is whole without it."""

    lr: PositiveFloat
    rho: Beta
    eps: PositiveFloat
    weight_decay: NonNegativeFloat

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.Adadelta(weights, **self.model_dump(), foreach=True)
