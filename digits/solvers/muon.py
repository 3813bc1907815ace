"""Momentum, orthogonalized, for the weight matrices; AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat

from digits.common.section import Section
from digits.training.solver import Beta, Betas, Solver

if TYPE_CHECKING:
    import torch


class AdamW(Section):
    """Of the weights that are no matrices: the values of `digits.solvers.adamw`."""

    lr: PositiveFloat
    betas: Betas
    eps: PositiveFloat
    weight_decay: NonNegativeFloat


class Muon(Solver):
    """Jordan et al., Muon (2024), as in `torch.optim.Muon`; weights that are no matrices have AdamW."""

    lr: PositiveFloat
    momentum: Beta
    nesterov: bool
    weight_decay: NonNegativeFloat
    adamw: AdamW

    precision: ClassVar[Literal["float32", "bfloat16"]] = "bfloat16"

    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        from digits.training.joint_optimizer import JointOptimizer

        matrices: list[torch.nn.Parameter] = []
        rest: list[torch.nn.Parameter] = []
        for weight in weights:
            (matrices if weight.ndim == 2 else rest).append(weight)
        parts = [torch.optim.Muon(matrices, **self.model_dump(exclude={"adamw"}))] if matrices else []
        others = [torch.optim.AdamW(rest, **self.adamw.model_dump(), fused=True)] if rest else []
        return JointOptimizer([*parts, *others])
