"""Train on data/normalized/ and write models/model.safetensors and reports/training.csv."""

import csv
import dataclasses
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from digits import devices, model_file
from digits.files import replacing, sha256
from digits.parameters import Parameters
from digits.training import Checkpoint, Examples, train
from digits.training_state import Interval
from stages.command import run

NORMALIZED = Path("data/normalized")
MODEL = Path("models/model.safetensors")
TRAINING = Path("reports/training.csv")
CHECKPOINT = Path("models/.training.part")


def write_history(rows: list[Interval], path: Path) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(Interval))
        for row in rows:
            writer.writerow(f"{v:.6g}" if isinstance(v, float) else v for v in dataclasses.astuple(row))


def read_examples(name: str, device: torch.device) -> tuple[Examples, float, float]:
    tensors = load_file(NORMALIZED / f"{name}.safetensors", device=str(device))
    return Examples(tensors["images"], tensors["labels"]), tensors["mean"].item(), tensors["std"].item()


def identity(made_from: dict[str, Any], data_sha256: str, device: torch.device) -> dict[str, str]:
    """Everything that decides where a training ends."""
    files = sorted(path for folder in ("digits", "stages") for path in Path(folder).rglob("*.py"))
    code = hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files))
    return {
        "parameters": json.dumps(made_from),
        "data_sha256": data_sha256,
        "code_sha256": code.hexdigest(),
        "torch": torch.__version__,
        "device": str(device),
    }


def main(parameters: Parameters) -> None:
    device = devices.choose(parameters.train.device)
    devices.make_deterministic(parameters.train.threads)
    training, mean, std = read_examples("train", device)
    validation, _, _ = read_examples("validation", device)
    print(f"training on {device}: {len(training.labels):,} images, {len(validation.labels):,} for validation")
    made_from = model_file.used_parameters(parameters)
    with ThreadPoolExecutor() as background:
        data_sha256 = background.submit(sha256, NORMALIZED / "train.safetensors")
        checkpoint = Checkpoint(
            CHECKPOINT, lambda: identity(made_from, data_sha256.result(), training.images.device)
        )
        kept_aside = validation if len(validation.labels) else None
        net, history = train(parameters, training, kept_aside, checkpoint=checkpoint)
    model = model_file.TrainedModel(net, mean, std, made_from, data_sha256.result())
    with replacing(MODEL) as temporary:
        model_file.save(model, temporary)
    write_history(history, TRAINING)
    CHECKPOINT.unlink(missing_ok=True)
    print(f"{MODEL}: {sum(p.numel() for p in net.parameters()):,} weights after {history[-1].step:,} steps")


if __name__ == "__main__":
    run(main)
