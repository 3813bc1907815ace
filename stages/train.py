"""Train on data/normalized/ and write models/model.safetensors and reports/training.csv."""

import csv
import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from digits.common.about import About, Data
from digits.common.files import replacing, sha256
from digits.common.stage import run
from digits.networks import devices, images, model_file
from digits.training import distributed
from digits.training.inputs import chosen_teacher, identity, read_examples
from digits.training.loop import Checkpoint, Examples, train
from digits.training.sections import TrainingValues
from digits.training.state import Interval
from digits.training.streaming import Stream

NORMALIZED = Path("data/normalized")
TRAIN, VALIDATION = NORMALIZED / "train.safetensors", NORMALIZED / "validation.safetensors"
MODEL = Path("models/model.safetensors")
TRAINING = Path("reports/training.csv")
CHECKPOINT = Path("models/.training.part")
TEACHERS = Path("teachers")


def write_history(rows: list[Interval], path: Path) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [field.name for field in dataclasses.fields(Interval) if field.name != "terms"]
        writer.writerow([*names, *(f"loss.{name}" for name in rows[0].terms)])
        for row in rows:
            values = [*(getattr(row, name) for name in names), *row.terms.values()]
            writer.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in values)


class Prepared(NamedTuple):
    """Images to train on, and what they are."""

    examples: Examples | Stream
    mean: float
    std: float
    about: About


def read_training(stream: bool, device: torch.device) -> Prepared:
    """Raises DigitsError where they are not what they must be."""
    if stream:
        about, streamed = images.about(TRAIN), Stream(TRAIN, device)
        images.check_labels(torch.from_numpy(streamed.tensors.labels), about, TRAIN)
        return Prepared(streamed, streamed.tensors.mean, streamed.tensors.std, about)
    found = read_examples(TRAIN, device)
    return Prepared(Examples(found.images, found.labels), found.mean, found.std, found.about)


def read_validation(about: About, device: torch.device) -> Examples:
    """Raises DigitsError where they are not what they must be, or not of the set of the training images."""
    found = read_examples(VALIDATION, device)
    about.require_same(found.about, TRAIN, VALIDATION)
    return Examples(found.images, found.labels)


def main(parameters: TrainingValues) -> None:
    began = time.perf_counter()
    ranks = distributed.join(parameters) if distributed.launched() else None
    device = ranks.device if ranks else devices.choose(parameters.train.device)
    devices.make_deterministic(parameters.train.threads)
    devices.warn_of_threads(parameters.train.threads)
    training, mean, std, about = read_training(parameters.train.stream, device)
    about.require(Data.read().set, TRAIN)
    validation = read_validation(about, device)
    parameters.require_validation(len(validation))
    kept_aside = validation if len(validation) else None
    teacher, made_from = chosen_teacher(parameters, TEACHERS, mean, std, device, about.classes)
    classes = len(about.classes)
    this_one = partial(
        identity,
        made_from,
        [*parameters.code, Path(__file__)],
        device=device,
        processes=ranks.size if ranks else 1,
    )
    if ranks:
        ranks.require_same(this_one(f"{TRAIN.stat().st_size:,} bytes"))
        if not ranks.first:
            train(parameters, training, kept_aside, lambda _: None, None, teacher, ranks, classes)
            ranks.leave()
            return
    together = f" in {ranks.size} processes" if ranks and ranks.size > 1 else ""
    print(f"training on {device}{together}: {len(training):,} images, {len(validation):,} for validation")
    print(f"{about.title}: {classes} classes")
    with ThreadPoolExecutor() as background:
        data_sha256 = background.submit(sha256, TRAIN)
        checkpoint = Checkpoint(CHECKPOINT, lambda: this_one(data_sha256.result()))
        net, history = train(parameters, training, kept_aside, print, checkpoint, teacher, ranks, classes)
    if ranks:
        ranks.leave()
    print(f"{time.perf_counter() - began:.1f} s from reading the data to the last step")
    model = model_file.TrainedModel(net, mean, std, made_from, data_sha256.result(), about)
    with replacing(MODEL) as temporary:
        model_file.save(model, temporary)
    write_history(history, TRAINING)
    CHECKPOINT.unlink(missing_ok=True)
    print(f"{MODEL}: {sum(p.numel() for p in net.parameters()):,} weights after {history[-1].step:,} steps")


if __name__ == "__main__":
    run(main, TrainingValues.read, "torch", "numpy", "safetensors", torchrun=True)
