"""By how much pixels may change without the class changing: reports/robustness.*.

A stage of robustness/dvc.yaml, not of the pipeline: it takes longer than all of that.
"""

import csv
import json
from pathlib import Path

import numpy as np
import torch

from digits.common.files import replacing
from digits.common.stage import run
from digits.data import raw
from digits.data.datasets import evenly
from digits.evaluation import pictures
from digits.networks import devices, model_file
from digits.onnx.robustness import measure
from digits.onnx.sections import Robustness

MODEL = Path("models/model.safetensors")
RAW = Path("data/raw")
REPORTS = Path("reports")


def main(values: Robustness) -> None:
    devices.make_deterministic(threads=1)
    model, about = model_file.load(MODEL), raw.read_about(RAW)
    about.require_same(model.about, RAW, MODEL)
    test = raw.read(RAW, raw.TEST, about)
    chosen = evenly(len(test.images), values.images)
    images = torch.from_numpy(test.images[chosen, None].copy())
    labels = torch.from_numpy(test.labels[chosen].astype(np.int64))
    found = measure(model.classifier, images, labels, values.radii)
    accuracies = {str(radius): found.accuracies(radius) for radius in values.radii}
    for radius, (safe, standing) in accuracies.items():
        print(f"within {radius} grey values: {safe:.2%} proven right, {standing:.2%} left by the attack")
    accuracy = found.right.double().mean().item()
    facts = {
        "images": len(chosen),
        "accuracy": accuracy,
        "certified_accuracy": {radius: both[0] for radius, both in accuracies.items()},
        "attacked_accuracy": {radius: both[1] for radius, both in accuracies.items()},
    }
    with replacing(REPORTS / "robustness.json") as temporary:
        # Under a name of its own: `dvc exp show` has one column for each name, of whatever file.
        temporary.write_text(json.dumps({"robustness": facts}, indent=2) + "\n")
    with replacing(REPORTS / "robustness.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "class", "proven_radius", "attacked_radius"])
        broken = [radius if radius < 256 else "" for radius in found.broken.tolist()]
        names = [about.classes[label] for label in labels.tolist()]
        writer.writerows(zip(chosen, names, found.safe.tolist(), broken, strict=True))
    with replacing(REPORTS / "robustness.png") as temporary:
        proven, left = ([accuracy, *curve] for curve in zip(*accuracies.values(), strict=True))
        pictures.robustness([0, *values.radii], proven, left, temporary)


if __name__ == "__main__":
    run(main, Robustness.read, "torch", "numpy", "safetensors", "matplotlib")
