"""Steps that are recorded and repeated by a stand-in for CUDA graphs: operators, on the same memory.

As a graph, it knows nothing of Python: what is no operator on tensors is not done again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from digits.training import loop, recorded
from digits.training.loop import Examples, train
from digits.training.sections import TrainingValues
from tests.digits.conftest import ReadWith
from tests.digits.training.test_loop import COUNT, SMALL, examples, silent

CNN = {"train.model": "cnn", "models.cnn.channels": [4, 6], "models.cnn.dropout": 0.2}


class Operators(TorchDispatchMode):
    """Those that are called, with the tensors that they take and give."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, given))
        return given

    @torch.no_grad()
    def repeat(self) -> None:
        for func, args, kwargs, before in self.calls:
            for old, new in zip(tree_leaves(before), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Recorder:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.aside_for = self.repeated = 0

    @contextmanager
    def aside(self) -> Iterator[None]:
        self.aside_for += 1
        yield

    def __call__(self, compute: Callable[[], object]) -> Callable[[], None]:
        with Operators() as operators:
            compute()

        def repeat() -> None:
            self.repeated += 1
            operators.repeat()

        return repeat


def trained(
    values: TrainingValues, record: object, log: Callable[[str], None] = silent, data: Examples | None = None
) -> tuple[list[torch.Tensor], object]:
    """All that a training ends with, its steps recorded by `record`, if any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "recorder", lambda device, parameters: record)
        net, history = train(values, data or examples(COUNT), log=log)
    return [*net.state_dict().values()], history


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"train.solver": "adamw", "train.precision": "bfloat16"},
        {
            "train.loss": [
                {"name": "cross_entropy", "weight": 1.0},
                {"name": "mean_squared_error", "weight": 2.0},
            ]
        },
        {"augmentation.shift": 2.0},
    ],
)
def test_it_ends_with_the_bytes_of_steps_computed_one_by_one(
    read_with: ReadWith, other: dict[str, object]
) -> None:
    values, record = read_with({**SMALL, **CNN, **other}), Recorder()
    lines: list[str] = []
    weights, history = trained(values, record, lines.append)
    alone, its_history = trained(values, None)
    assert all(torch.equal(a, b) for a, b in zip(weights, alone, strict=True))
    assert history == its_history
    assert not any("not recorded" in line for line in lines)
    whole, rest = divmod(COUNT, values.batch_size)
    assert rest, "the last batch of an epoch is a smaller one"
    # Once more for the comparison, instead of the batch that is recorded.
    assert record.repeated == whole * values.train.epochs - recorded.WARM_UP
    assert record.aside_for == recorded.WARM_UP


def test_a_record_that_gives_other_numbers_is_not_used(read_with: ReadWith) -> None:
    class Wrong(Recorder):
        def __call__(self, compute: Callable[[], object]) -> Callable[[], None]:
            compute()
            return lambda: None  # as one that has missed what dropout draws

    values = read_with({**SMALL, **CNN})
    lines: list[str] = []
    weights, history = trained(values, Wrong(), lines.append)
    alone, its_history = trained(values, None)
    assert lines[0] == "steps are not recorded, but computed one by one: its repetition gave other numbers"
    assert all(torch.equal(a, b) for a, b in zip(weights, alone, strict=True))
    assert history == its_history


def test_what_cannot_be_recorded_is_computed_and_said(read_with: ReadWith) -> None:
    class Failing(Recorder):
        def __call__(self, compute: Callable[[], object]) -> Callable[[], None]:
            compute()
            raise RuntimeError("operation not permitted when stream is capturing\nand more")

    values = read_with({**SMALL, **CNN})
    lines: list[str] = []
    weights, _ = trained(values, Failing(), lines.append)
    assert lines[0].endswith("one by one: operation not permitted when stream is capturing")
    assert all(torch.equal(a, b) for a, b in zip(weights, trained(values, None)[0], strict=True))


def test_nothing_is_recorded_on_a_cpu_nor_where_a_step_asks_questions(read_with: ReadWith) -> None:
    def found(device: str, **values: object) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recorded, "CudaGraphs", lambda: "graphs")
            return recorded.recorder(torch.device(device), read_with({**SMALL, **values}))

    assert found("cpu") is None
    assert found("cuda") == "graphs"
    assert found("cuda", **{"outliers.share": 0.2}) is None
    assert found("cuda", **{"train.solver": "lbfgs"}) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("model", [{}, CNN])
def test_on_a_gpu_it_ends_with_the_bytes_of_steps_computed_one_by_one(
    read_with: ReadWith, model: dict[str, object]
) -> None:
    from digits.networks import devices

    devices.make_deterministic(threads=1)
    data = examples(COUNT)
    on_gpu = Examples(data.images.cuda(), data.labels.cuda())
    values = read_with({**SMALL, **model})
    lines: list[str] = []
    weights, history = trained(values, recorded.CudaGraphs(), lines.append, on_gpu)
    alone, its_history = trained(values, None, silent, on_gpu)
    assert not any("not recorded" in line for line in lines)
    assert all(torch.equal(a, b) for a, b in zip(weights, alone, strict=True))
    assert history == its_history
