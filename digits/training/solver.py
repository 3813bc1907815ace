"""What a solver has to be, and the kinds of values that several have."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from digits.common.section import Section

if TYPE_CHECKING:
    import torch

SMALLEST = 1000


def _large(size: int) -> int:
    if size < SMALLEST:
        raise ValueError(
            f"this solver compares gradients from step to step, which small batches blur; "
            f"allowed: {SMALLEST} or more"
        )
    return size


Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[list[Beta], Field(min_length=2, max_length=2)]
LargeBatch = Annotated[int, AfterValidator(_large)]


class Solver(Section):
    """The values of one solver; each file of `digits/solvers` has one.

    One that has a `batch_size` takes it instead of `train.batch_size`.
    """

    looks_again: ClassVar[bool] = False
    """Whether it looks at each batch several times, as `step` then says."""
    precision: ClassVar[Literal["float32", "bfloat16"]] = "float32"
    """What it computes its steps in, and so how far two orders of the same sums may lead apart."""
    own_rate: ClassVar[bool] = False
    """Whether it finds its learning rate by itself, so that a schedule has no effect."""

    @abstractmethod
    def build(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The PyTorch optimizer of these weights."""

    def step(self, optimizer: torch.optim.Optimizer, evaluate: Callable[[], torch.Tensor]) -> None:
        """Change the weights for one batch; `evaluate` returns its loss and leaves the gradient in `grad`.

        A batch that is evaluated again has the same dropout each time, so that its loss is one function.
        """
        evaluate()
        optimizer.step()
