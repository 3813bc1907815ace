"""The training loop: the data set as whole tensors on the device, no work per image."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from digits import compiler
from digits.errors import DigitsError
from digits.inference import log_probabilities
from digits.losses import Loss
from digits.parameters import Parameters
from digits.perceptron import Gradients, Perceptron
from digits.progress import progress_bar
from digits.training_state import Interval, TrainingState


class TrainingError(DigitsError):
    """The loss left the finite numbers."""


class Examples(NamedTuple):
    """Normalized images, float32 [n, 1, 28, 28], with their labels, int64 [n], on one device."""

    images: torch.Tensor
    labels: torch.Tensor


class Checkpoint(NamedTuple):
    """A file to go on from after an interruption, and what tells whether it belongs to this training."""

    path: Path
    identity: Callable[[], Mapping[str, str]]


def train(
    parameters: Parameters,
    training: Examples,
    validation: Examples | None = None,
    log: Callable[[str], None] = print,
    checkpoint: Checkpoint | None = None,
) -> tuple[nn.Module, list[Interval]]:
    """Train a new network on the device that holds the examples; everything random comes from `train.seed`.

    With a checkpoint, an interrupted training goes on after its last finished epoch, and ends as one that
    never was interrupted, to the bit.

    Raises:
        TrainingError: the loss of a batch is not finite; the message names epoch and batch.
    """
    values = parameters.train
    torch.manual_seed(values.seed)
    net = parameters.model.build().to(training.images.device)
    # Drawn on the CPU, so that the batches are the same on every device.
    shuffle = torch.Generator().manual_seed(values.seed)
    with compiler.not_loaded():
        optimizer = parameters.solver.build(net.parameters())
        state = TrainingState(net, optimizer, parameters.schedule.build(optimizer), shuffle)
        if checkpoint and checkpoint.path.exists() and state.restore(checkpoint.path, checkpoint.identity()):
            log(f"going on after epoch {state.epoch} of an interrupted training")
        for epoch in range(state.epoch + 1, values.epochs + 1):
            began = time.perf_counter()
            rows = list(_epoch(net, optimizer, parameters, training, shuffle, epoch))
            if validation is not None:
                rows[-1] = _validated(rows[-1], net, validation)
            state.schedule.step()
            state.history += rows
            if checkpoint and epoch < values.epochs:
                state.save(checkpoint.path, checkpoint.identity())
            log(_summary(rows, values.epochs, len(training.labels), time.perf_counter() - began))
    return net, state.history


def _epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    parameters: Parameters,
    training: Examples,
    shuffle: torch.Generator,
    epoch: int,
) -> Iterator[Interval]:
    values, device = parameters.train, training.images.device
    order = torch.randperm(len(training.labels), generator=shuffle).to(device)
    batches = torch.split(order, values.batch_size)
    labels_in_order = torch.split(training.labels.index_select(0, order), values.batch_size)
    meter = _Meter()
    gradients: Gradients | partial[tuple[torch.Tensor, torch.Tensor]]
    gradients = partial(_by_autograd, net, values.precision)
    if isinstance(net, Perceptron) and device.type == "cpu" and values.precision == "float32":
        gradients = Gradients(net)
    net.train()
    with progress_bar(len(order), f"epoch {epoch}/{values.epochs}", " images") as bar:
        for batch, (chosen, labels) in enumerate(zip(batches, labels_in_order, strict=True), start=1):
            images = training.images.index_select(0, chosen)
            loss, output = gradients(images, labels, parameters.loss)
            optimizer.step()
            meter.add(loss, output, labels)
            bar.update(len(chosen))
            if batch % values.log_interval == 0 or batch == len(batches):
                mean_loss, accuracy = meter.read(epoch, batch)
                bar.set_postfix(loss=f"{mean_loss:.4f}")
                lr = float(optimizer.param_groups[0]["lr"])
                yield Interval(epoch, batch, (epoch - 1) * len(batches) + batch, lr, mean_loss, accuracy)


def _by_autograd(
    net: nn.Module, precision: str, images: torch.Tensor, labels: torch.Tensor, loss: Loss
) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        output = net(images)
        value = loss(output, labels)
    net.zero_grad()
    torch.autograd.backward(value)
    return value.detach(), output.detach()


class _Meter:
    """Losses and answers of some batches, looked at together: asking the device after each would be slow."""

    def __init__(self) -> None:
        self.losses: list[torch.Tensor] = []
        self.outputs: list[torch.Tensor] = []
        self.labels: list[torch.Tensor] = []

    def add(self, loss: torch.Tensor, output: torch.Tensor, labels: torch.Tensor) -> None:
        self.losses.append(loss)
        self.outputs.append(output)
        self.labels.append(labels)

    def read(self, epoch: int, batch: int) -> tuple[float, float]:
        """Mean loss and accuracy since the last reading; `batch` is the last one of them."""
        losses = torch.stack(self.losses).tolist()
        for number, loss in enumerate(losses, start=batch - len(losses) + 1):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} in epoch {epoch}, batch {number}; try a smaller learning rate"
                )
        sizes = [len(labels) for labels in self.labels]
        mean = math.fsum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)
        hits = int((torch.cat(self.outputs).argmax(1) == torch.cat(self.labels)).sum())
        self.losses, self.outputs, self.labels = [], [], []
        return mean, hits / sum(sizes)


def _validated(row: Interval, net: nn.Module, validation: Examples) -> Interval:
    output = log_probabilities(net, validation.images, 1000)
    loss = float(functional.nll_loss(output, validation.labels))
    accuracy = float((output.argmax(1) == validation.labels).double().mean())
    return Interval(row.epoch, row.batch, row.step, row.lr, row.loss, row.accuracy, loss, accuracy)


def _summary(rows: list[Interval], epochs: int, images: int, seconds: float) -> str:
    batches = [row.batch - before for row, before in zip(rows, [0, *(r.batch for r in rows)], strict=False)]
    loss = sum(row.loss * n for row, n in zip(rows, batches, strict=True)) / rows[-1].batch
    text = f"epoch {rows[-1].epoch}/{epochs}: training loss {loss:.4f}, {images / seconds:,.0f} images/s"
    if rows[-1].validation_accuracy is not None:
        text += (
            f", validation loss {rows[-1].validation_loss:.4f}, accuracy {rows[-1].validation_accuracy:.2%}"
        )
    return text
