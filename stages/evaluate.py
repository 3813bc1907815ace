"""Evaluate the model on the test set: metrics, calibration, per-class table, confusion matrix, mistakes."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.calibration import calibration_file, conformal
from digits.calibration.calibration_file import Calibration
from digits.common.about import About
from digits.common.files import replacing, sha256
from digits.common.stage import run
from digits.evaluation import pictures
from digits.evaluation.metrics import check_accuracy
from digits.evaluation.reliability import Reliability
from digits.evaluation.sections import Evaluate
from digits.evaluation.tables import write_csv
from digits.networks import devices, images, model_file
from digits.networks.familiarity import greys
from digits.networks.inference import log_probabilities

MODEL = Path("models/model.safetensors")
CALIBRATION = Path("models/calibration.safetensors")
TEST = Path("data/normalized/test.safetensors")
REPORTS = Path("reports")


def write_data(model: model_file.TrainedModel, test: About, count: int) -> None:
    """What the model has learned from and is measured on, by its hashes: reports/data.json."""
    facts = {
        "trained_on": {**model.about.model_dump(), "train.safetensors": model.data_sha256},
        "tested_on": {**test.model_dump(), "test.safetensors": sha256(TEST)},
        "test_images": count,
    }
    with replacing(REPORTS / "data.json") as temporary:
        temporary.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(values: Evaluate) -> None:
    devices.make_deterministic(threads=1)
    model, test = model_file.load(MODEL), images.read(TEST)
    calibration = calibration_file.load(CALIBRATION)
    model.about.require_same(test.about, MODEL, TEST)
    output = log_probabilities(model.net, test.images, values.batch_size)
    calibrated = log_probabilities(calibration.apply(model).net, test.images, values.batch_size).numpy()
    result = Reliability(output.numpy(), test.labels.numpy())
    classes = test.about.classes
    write_data(model, test.about, len(result.labels))
    with replacing(REPORTS / "metrics.json") as temporary:
        temporary.write_text(json.dumps(result.metrics, indent=2) + "\n")
    scaled = greys(test.images, model.mean, model.std).split(values.batch_size)
    familiar = np.concatenate([calibration.familiarity(part).numpy() for part in scaled])
    report_calibration(result, Reliability(calibrated, result.labels), familiar, calibration)
    write_csv(REPORTS / "classes.csv", [row | {"class": classes[row["class"]]} for row in result.classes])
    pairs = zip(result.labels.tolist(), result.predictions.tolist(), strict=True)
    write_csv(
        REPORTS / "predictions.csv", [{"actual": classes[a], "predicted": classes[p]} for a, p in pairs]
    )
    title = f"{result.accuracy:.2%} of {len(result.labels):,} test images are right"
    with replacing(REPORTS / "confusion_matrix.png") as temporary:
        pictures.confusion(result.confusion, classes, title, temporary)
    worst = result.mistakes[: values.mistakes]
    predicted = result.predictions[worst]
    sure = np.exp(calibrated[worst, predicted])
    with replacing(REPORTS / "mistakes.png") as temporary:
        pictures.mistakes(
            test.images.numpy()[worst, 0],
            [classes[label] for label in result.labels[worst]],
            [classes[label] for label in predicted],
            sure.tolist(),
            len(result.mistakes),
            temporary,
        )
    print(f"test accuracy {result.accuracy:.4f}, loss {result.loss:.4f}, {len(result.mistakes):,} mistakes")
    check_accuracy(result.accuracy, values.min_accuracy)


def report_calibration(
    before: Reliability, after: Reliability, familiar: NDArray[np.float32], calibration: Calibration
) -> None:
    """Write what the probabilities, the refusals and the sets of classes are worth on the test images."""
    facts, rows = calibration.facts, np.arange(len(after.labels))
    sets = conformal.sets(after.log_probabilities, facts.set_threshold)
    was, is_now = before.figures, after.figures
    bins_before, bins_after = before.bins, after.bins
    refused = float((familiar < facts.familiarity_threshold).mean())
    coverage, size = float(sets[rows, after.labels].mean()), float(sets.sum(axis=1).mean())
    found = {
        "temperature": facts.temperature,
        "calibration_images": facts.calibration_images,
        "before": was,
        "after": is_now,
        "classes_changed": int((before.predictions != after.predictions).sum()),
        "refused": refused,
        "sets": {
            "coverage": coverage,
            "mean_size": size,
            "of_one_class": float((sets.sum(axis=1) == 1).mean()),
        },
    }
    with replacing(REPORTS / "calibration.json") as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n")
    write_csv(
        REPORTS / "reliability.csv",
        [
            {**mine, "confidence_before": other["confidence"], "accuracy_before": other["accuracy"]}
            for mine, other in zip(bins_after, bins_before, strict=True)
        ],
    )
    with replacing(REPORTS / "reliability.png") as temporary:
        pictures.reliability({"as trained": bins_before, "calibrated": bins_after}, temporary)
    key = "expected_calibration_error"
    print(
        f"expected calibration error {is_now[key]:.4f}, as trained {was[key]:.4f}; {refused:.2%} refused as "
        f"unlike {calibration.about.thing}; {coverage:.2%} of the sets have the right class, with {size:.2f} "
        "classes on average"
    )


if __name__ == "__main__":
    run(main, Evaluate.read, "torch", "numpy", "safetensors", "matplotlib")
