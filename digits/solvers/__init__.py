"""Solvers (optimizers), chosen by `train.solver`; each keeps its own values under `solvers`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from digits.registry import Section, discover

if TYPE_CHECKING:
    import torch


class Solver(Section):
    """The values of one solver."""

    @abstractmethod
    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The PyTorch optimizer of these weights."""


SOLVERS = discover(__name__, Solver)
