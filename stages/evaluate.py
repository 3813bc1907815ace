"""Evaluate the model on the test set: metrics, per-class table, confusion matrix, worst mistakes."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from digits.common.files import replacing
from digits.common.stage import run
from digits.evaluation import pictures
from digits.evaluation.metrics import Evaluation, check_accuracy
from digits.evaluation.sections import Evaluate
from digits.networks import devices, model_file
from digits.networks.inference import log_probabilities

MODEL = Path("models/model.safetensors")
TEST = Path("data/normalized/test.safetensors")
REPORTS = Path("reports")


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
        )


def main(values: Evaluate) -> None:
    devices.make_deterministic(threads=1)
    test = load_file(TEST)
    output = log_probabilities(model_file.load(MODEL).net, test["images"], values.batch_size)
    result = Evaluation(output.numpy(), test["labels"].numpy())
    with replacing(REPORTS / "metrics.json") as temporary:
        temporary.write_text(json.dumps(result.metrics, indent=2) + "\n")
    write_csv(REPORTS / "classes.csv", result.classes)
    pairs = zip(result.labels.tolist(), result.predictions.tolist(), strict=True)
    write_csv(REPORTS / "predictions.csv", [{"actual": a, "predicted": p} for a, p in pairs])
    title = f"{result.accuracy:.2%} of {len(result.labels):,} test images are right"
    with replacing(REPORTS / "confusion_matrix.png") as temporary:
        pictures.confusion(result.confusion, title, temporary)
    worst = result.mistakes[: values.mistakes]
    predicted = result.predictions[worst]
    sure = np.exp(result.log_probabilities[worst, predicted])
    images = test["images"].numpy()[worst, 0]
    with replacing(REPORTS / "mistakes.png") as temporary:
        pictures.mistakes(
            images,
            result.labels[worst].tolist(),
            predicted.tolist(),
            sure.tolist(),
            len(result.mistakes),
            temporary,
        )
    print(f"test accuracy {result.accuracy:.4f}, loss {result.loss:.4f}, {len(result.mistakes):,} mistakes")
    check_accuracy(result.accuracy, values.min_accuracy)


if __name__ == "__main__":
    run(main, Evaluate.read, "torch", "numpy", "safetensors", "matplotlib")
