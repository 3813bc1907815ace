"""The training loop: the data set as whole tensors on the device, no work per image."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional

from digits.common.errors import DigitsError
from digits.common.progress import progress_bar
from digits.networks.inference import log_probabilities
from digits.networks.perceptron import Gradients, Perceptron
from digits.training import allocation, compiler
from digits.training.distributed import Evaluate, Loss, Ranks
from digits.training.objective import Objective, Targets, in_this_process
from digits.training.outliers import NO_CLASS
from digits.training.prefetch import prefetched
from digits.training.recorded import Recorded, recorder
from digits.training.sections import TrainingValues
from digits.training.state import Interval, TrainingState, global_generators, set_global_generators


class TrainingError(DigitsError):
    """The loss left the finite numbers."""


class Source(Protocol):
    """Where images to train on come from: `Examples`, or `streaming.Stream`."""

    @property
    def device(self) -> torch.device: ...

    def __len__(self) -> int: ...

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Every image once, in an order that `generator` draws: images and labels, `size` at a time."""


@dataclass(frozen=True)
class Examples:
    """Normalized images, float32 [n, 1, 28, 28], with their labels, int64 [n], on one device."""

    images: torch.Tensor
    labels: torch.Tensor

    @property
    def device(self) -> torch.device:
        return self.images.device

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Every image once, in random order: images and labels, `size` at a time and the rest at the end."""
        order = torch.randperm(len(self), generator=generator).to(self.device)
        labels_in_order = self.labels.index_select(0, order).split(size)
        together = order.split(size * at_once(size))
        images = (batch for chosen in together for batch in self.images.index_select(0, chosen).split(size))
        yield from zip(images, labels_in_order, strict=True)


def at_once(size: int) -> int:
    """How many batches of this size are gathered, and made ahead, in one go: about a thousand images."""
    return max(1, 1024 // size)


class Checkpoint(NamedTuple):
    """A file to go on from after an interruption, and what tells whether it belongs to this training."""

    path: Path
    identity: Callable[[], Mapping[str, str]]


def train(
    parameters: TrainingValues,
    training: Source,
    validation: Examples | None = None,
    log: Callable[[str], None] = print,
    checkpoint: Checkpoint | None = None,
    teacher: nn.Module | None = None,
    ranks: Ranks | None = None,
    classes: int = 10,
) -> tuple[nn.Module, list[Interval]]:
    """Train a new network for this many classes on the device that holds the examples.

    Everything random comes from `train.seed`.

    With a checkpoint, an interrupted training goes on after its last finished epoch, and ends as one that
    never was interrupted, to the bit. A teacher takes what the network takes, on the same device, and
    returns log-probabilities, too; the loss then has the term of `distillation`.

    With `ranks`, their processes train one network together, each on its part of every batch. All must call
    with the same arguments, but only the first with a checkpoint; all return the same.

    Raises:
        TrainingError: the loss of a batch is not finite; the message names epoch and batch.
    """
    values = parameters.train
    allocation.keep_freed()
    torch.manual_seed(values.seed)
    net = parameters.model.build(classes).to(training.device)
    # Drawn on the CPU, so that the batches are the same on every device.
    shuffle, augment = (torch.Generator().manual_seed(seed) for seed in (values.seed, values.seed + 1))
    objective = Objective(parameters, teacher)
    with compiler.not_loaded():
        optimizer = parameters.solver.build(net.parameters())
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        state = TrainingState(net, optimizer, {"shuffle": shuffle, "augment": augment})
        if checkpoint and checkpoint.path.exists() and state.restore(checkpoint.path, checkpoint.identity()):
            log(f"going on after epoch {state.epoch} of an interrupted training")
        if ranks:
            ranks.share(state)
        gradients = _gradients(net, parameters, training.device, objective, ranks, log)
        for epoch in range(state.epoch + 1, values.epochs + 1):
            if values.patience and state.epoch - state.best_epoch >= values.patience:
                log(f"stopping: the validation loss is no lower than after epoch {state.best_epoch}")
                break
            began = time.perf_counter()
            if ranks:
                ranks.seed(values.seed, epoch)
            rows = list(_epoch(state, rates, parameters, objective, gradients, training, epoch, ranks))
            if ranks:
                ranks.share_buffers(net)
            if validation is not None:
                rows[-1] = _validated(rows[-1], net, validation)
            state.history += rows
            if values.keep == "best" and state.best_epoch == epoch:
                state.best = {name: weight.clone() for name, weight in net.state_dict().items()}
            if checkpoint and epoch < values.epochs:
                state.save(checkpoint.path, checkpoint.identity())
            log(_summary(rows, values.epochs, len(training), time.perf_counter() - began))
    if values.keep == "best":
        net.load_state_dict(state.best)
        log(f"keeping the weights after epoch {state.best_epoch}, the best on the validation images")
    return net, state.history


def _epoch(
    state: TrainingState,
    rates: list[float],
    parameters: TrainingValues,
    objective: Objective,
    gradients: Evaluate,
    training: Source,
    epoch: int,
    ranks: Ranks | None,
) -> Iterator[Interval]:
    values, batches = parameters.train, math.ceil(len(training) / parameters.batch_size)
    net, optimizer, generators = state.net, state.optimizer, state.generators
    solver, schedule = parameters.solver, parameters.schedule
    meter = _Meter(objective)
    shared = ranks.shared if ranks else in_this_process
    in_order = _batches(parameters, training, generators, gradients, ranks)
    # On another core. Several threads of the steps have none to spare, and a GPU works ahead by itself.
    if training.device.type == "cpu" and values.threads == 1:
        in_order = prefetched(in_order, at_once(parameters.batch_size))
    net.train()
    with progress_bar(len(training), f"epoch {epoch}/{values.epochs}", " images") as bar:
        for batch, (images, labels, noise) in enumerate(in_order, start=1):
            step = (epoch - 1) * batches + batch
            factor = schedule.factor(step - 1, values.epochs * batches, values.epochs)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            targets = objective.targets(images, labels, shared)
            evaluate = partial(gradients, images, targets, objective)
            if noise is not None:
                evaluate = partial(evaluate, noise=noise)
            evaluation = _Evaluation(evaluate, again=solver.looks_again and noise is None)
            solver.step(optimizer, evaluation)
            meter.add(*evaluation.first, targets)
            bar.update(len(labels))
            if batch % values.log_interval == 0 or batch == batches:
                mean_loss, accuracy, terms = meter.read(epoch, batch)
                bar.set_postfix(loss=f"{mean_loss:.4f}")
                yield Interval(epoch, batch, step, rates[0] * factor, mean_loss, accuracy, terms=terms)


def _batches(
    parameters: TrainingValues,
    training: Source,
    generators: Mapping[str, torch.Generator],
    gradients: Evaluate,
    ranks: Ranks | None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]:
    """Images and labels of an epoch, changed by augmentation; dropout's noise where `gradients` takes it."""
    rows = ranks.rows if ranks else slice
    for images, labels in training.batches(parameters.batch_size, generators["shuffle"]):
        if parameters.changes_images:
            images, labels = parameters.changed(images, labels, generators["augment"], rows(len(labels)))
        yield images, labels, gradients.noise(len(labels)) if isinstance(gradients, Gradients) else None


def _gradients(
    net: nn.Module,
    parameters: TrainingValues,
    device: torch.device,
    objective: Objective,
    ranks: Ranks | None,
    log: Callable[[str], None],
) -> Evaluate:
    precision = parameters.train.precision
    if ranks:
        return ranks.gradients(partial(_by_autograd, ranks.parallel(net), precision))
    if isinstance(net, Perceptron) and device.type == "cpu" and precision == "float32":
        return Gradients(net, objective.gradient)
    evaluate = partial(_by_autograd, net, precision)
    record = recorder(device, parameters)
    return Recorded(net, evaluate, record, log) if record else evaluate


def _by_autograd(
    net: nn.Module, precision: str, images: torch.Tensor, targets: Targets, loss: Loss
) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        output = net(images)
        value = loss(output, targets)
    net.zero_grad()
    torch.autograd.backward(value)
    return value.detach(), output.detach()


class _Evaluation:
    """The loss of one batch and its gradient; `again`: with the same dropout whenever it is asked for."""

    def __init__(self, evaluate: Callable[[], tuple[torch.Tensor, torch.Tensor]], again: bool) -> None:
        self._evaluate = evaluate
        self._generators = global_generators() if again else None
        self._results: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __call__(self) -> torch.Tensor:
        if self._results and self._generators:
            set_global_generators(self._generators)
        self._results.append(self._evaluate())
        return self._results[-1][0]

    @property
    def first(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and output with the weights that the batch came upon."""
        return self._results[0]


class _Meter:
    """Losses and answers of some batches, looked at together: asking the device after each would be slow."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.losses: list[torch.Tensor] = []
        self.outputs: list[torch.Tensor] = []
        self.targets: list[Targets] = []

    def add(self, loss: torch.Tensor, output: torch.Tensor, targets: Targets) -> None:
        self.losses.append(loss)
        self.outputs.append(output)
        self.targets.append(targets)

    def read(self, epoch: int, batch: int) -> tuple[float, float, dict[str, float]]:
        """Mean loss, accuracy and terms since the last reading; `batch` is the last one of them."""
        losses = torch.stack(self.losses).tolist()
        for number, loss in enumerate(losses, start=batch - len(losses) + 1):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} in epoch {epoch}, batch {number}; try a smaller learning rate"
                )
        sizes = [len(output) for output in self.outputs]
        mean = math.fsum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)
        outputs, targets = torch.cat(self.outputs), Targets.joined(self.targets)
        hits = int((outputs.argmax(1) == targets.labels).sum())
        answerable = max(1, int((targets.labels != NO_CLASS).sum()))
        self.losses, self.outputs, self.targets = [], [], []
        return mean, hits / answerable, self.objective.terms(outputs, targets)


def _validated(row: Interval, net: nn.Module, validation: Examples) -> Interval:
    output = log_probabilities(net, validation.images, 1000)
    loss = float(functional.nll_loss(output, validation.labels))
    accuracy = float((output.argmax(1) == validation.labels).double().mean())
    return replace(row, validation_loss=loss, validation_accuracy=accuracy)


def _summary(rows: list[Interval], epochs: int, images: int, seconds: float) -> str:
    batches = [row.batch - before for row, before in zip(rows, [0, *(r.batch for r in rows)], strict=False)]
    loss = sum(row.loss * n for row, n in zip(rows, batches, strict=True)) / rows[-1].batch
    text = f"epoch {rows[-1].epoch}/{epochs}: training loss {loss:.4f}, {images / seconds:,.0f} images/s"
    if rows[-1].validation_accuracy is not None:
        text += (
            f", validation loss {rows[-1].validation_loss:.4f}, accuracy {rows[-1].validation_accuracy:.2%}"
        )
    return text
