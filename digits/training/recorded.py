"""A step's computation, recorded once and repeated: on a GPU one launch instead of one for each operation.

What a repetition gives is compared, to the bit, with the computation itself before it is relied on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Protocol

import torch
from torch import nn

from digits.training.distributed import Evaluate, Loss
from digits.training.objective import Targets
from digits.training.sections import TrainingValues
from digits.training.state import global_generators, set_global_generators

WARM_UP = 3
"""Batches before it is recorded: libraries make what they need at the first ones."""


class Recorder(Protocol):
    """What records; there is one for GPUs."""

    def aside(self) -> AbstractContextManager[None]:
        """Where batches are computed before something is recorded."""

    def __call__(self, compute: Callable[[], object]) -> Callable[[], None]:
        """Record what `compute` does to tensors; the result does it, on the same tensors."""


class CudaGraphs:
    """Records as a CUDA graph (https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs)."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            yield
        torch.cuda.current_stream().wait_stream(self._stream)

    def __call__(self, compute: Callable[[], object]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            compute()
        return graph.replay


def recorder(device: torch.device, parameters: TrainingValues) -> Recorder | None:
    """What records the steps of this training; None where nothing does, or it is no gain.

    A record has no branches: with outliers, the loss asks which images are some; and a solver that looks at a
    batch again rewinds the numbers of its dropout.
    """
    if device.type != "cuda" or parameters.outliers.share or parameters.solver.looks_again:
        return None
    return CudaGraphs()


class Recorded:
    """As `evaluate`: loss and output of a batch, with its gradient in `grad`.

    Batches of another size than the first one, as the last of an epoch may be, are computed as ever; so are
    all where recording fails, or gives other bits, which `log` says.
    """

    def __init__(
        self, net: nn.Module, evaluate: Evaluate, record: Recorder, log: Callable[[str], None]
    ) -> None:
        self._net, self._evaluate, self._record, self._log = net, evaluate, record, log
        self._weights = list(net.parameters())
        self._seen, self._given_up = 0, False
        self._given: list[torch.Tensor] = []
        self._repeat: Callable[[], None] | None = None
        self._gradients: list[torch.Tensor | None] = []

    def __call__(
        self, images: torch.Tensor, targets: Targets, loss: Loss
    ) -> tuple[torch.Tensor, torch.Tensor]:
        given = [part for part in (images, *targets) if part is not None]
        if not self._given:
            self._given = [part.clone() for part in given]
        if self._given_up or [part.shape for part in given] != [part.shape for part in self._given]:
            return self._evaluate(images, targets, loss)
        if self._repeat is not None:
            return self._repeated(given)
        self._seen += 1
        if self._seen <= WARM_UP:
            with self._record.aside():
                return self._evaluate(images, targets, loss)
        return self._recording(given, images, targets, loss)

    def _repeated(self, given: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        assert self._repeat is not None
        for mine, part in zip(self._given, given, strict=True):
            mine.copy_(part)
        # A batch of another size has left gradients of its own.
        for weight, gradient in zip(self._weights, self._gradients, strict=True):
            weight.grad = gradient
        self._repeat()
        # The next repetition writes to the same places.
        value, output = self._found
        return value.clone(), output.clone()

    def _recording(
        self, given: list[torch.Tensor], images: torch.Tensor, targets: Targets, loss: Loss
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute this batch, record, and keep the record if it repeats what was computed."""
        before, generators = self._buffers(), global_generators()
        value, output = self._evaluate(images, targets, loss)
        after, drawn, gradients = self._buffers(), global_generators(), [w.grad for w in self._weights]
        try:
            self._set(before, generators)
            self._compute_on(
                Targets(self._given[1], None if targets.teacher is None else self._given[2]), loss
            )
            self._set(before, generators)
            repeated = self._repeated(given)
            computed = chain((value, output), gradients, after)
            again = chain(repeated, self._gradients, self._net.buffers())
            if not all(_same(a, b) for a, b in zip(computed, again, strict=True)):
                self._give_up("its repetition gave other numbers")
        except RuntimeError as error:
            self._give_up(f"{error}".splitlines()[0])
        self._set(after, drawn)
        for weight, gradient in zip(self._weights, gradients, strict=True):
            weight.grad = gradient
        return value, output

    def _compute_on(self, targets: Targets, loss: Loss) -> None:
        def compute() -> None:
            self._found = self._evaluate(self._given[0], targets, loss)

        self._repeat = self._record(compute)
        self._gradients = [weight.grad for weight in self._weights]

    def _buffers(self) -> list[torch.Tensor]:
        return [buffer.clone() for buffer in self._net.buffers()]

    def _set(self, buffers: list[torch.Tensor], generators: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for buffer, value in zip(self._net.buffers(), buffers, strict=True):
                buffer.copy_(value)
        set_global_generators(generators)

    def _give_up(self, why: str) -> None:
        self._given_up, self._repeat, self._gradients = True, None, []
        self._log(f"steps are not recorded, but computed one by one: {why}")


def _same(a: torch.Tensor | None, b: torch.Tensor | None) -> bool:
    return a is b is None or (a is not None and b is not None and torch.equal(a, b))
