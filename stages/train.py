"""Train on data/normalized/ and write models/model.safetensors and reports/training.csv."""

import csv
import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch

from digits.common.files import replacing, sha256
from digits.common.stage import run
from digits.networks import devices, model_file
from digits.training import distributed
from digits.training.inputs import identity, read_examples, read_teacher
from digits.training.loop import Checkpoint, Examples, train
from digits.training.sections import NO_TEACHER, TrainingValues
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


def read_training(stream: bool, device: torch.device) -> tuple[Examples | Stream, float, float]:
    if not stream:
        return read_examples(TRAIN, device)
    images = Stream(TRAIN, device)
    return images, images.tensors.mean, images.tensors.std


def main(parameters: TrainingValues) -> None:
    began = time.perf_counter()
    ranks = distributed.join(parameters) if distributed.launched() else None
    device = ranks.device if ranks else devices.choose(parameters.train.device)
    devices.make_deterministic(parameters.train.threads)
    devices.warn_of_threads(parameters.train.threads)
    training, mean, std = read_training(parameters.train.stream, device)
    validation, _, _ = read_examples(VALIDATION, device)
    parameters.require_validation(len(validation))
    kept_aside = validation if len(validation) else None
    made_from, teacher = parameters.origin, None
    if (name := parameters.train.teacher) != NO_TEACHER:
        teacher = read_teacher(TEACHERS / name, mean, std, device)
        made_from["distillation"]["teacher_sha256"] = sha256(TEACHERS / name)
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
            train(parameters, training, kept_aside, lambda line: None, teacher=teacher, ranks=ranks)
            ranks.leave()
            return
    together = f" in {ranks.size} processes" if ranks and ranks.size > 1 else ""
    print(f"training on {device}{together}: {len(training):,} images, {len(validation):,} for validation")
    with ThreadPoolExecutor() as background:
        data_sha256 = background.submit(sha256, TRAIN)
        checkpoint = Checkpoint(CHECKPOINT, lambda: this_one(data_sha256.result()))
        net, history = train(parameters, training, kept_aside, print, checkpoint, teacher, ranks)
    if ranks:
        ranks.leave()
    print(f"{time.perf_counter() - began:.1f} s from reading the data to the last step")
    model = model_file.TrainedModel(net, mean, std, made_from, data_sha256.result())
    with replacing(MODEL) as temporary:
        model_file.save(model, temporary)
    write_history(history, TRAINING)
    CHECKPOINT.unlink(missing_ok=True)
    print(f"{MODEL}: {sum(p.numel() for p in net.parameters()):,} weights after {history[-1].step:,} steps")


if __name__ == "__main__":
    run(main, TrainingValues.read, "torch", "numpy", "safetensors", torchrun=True)
