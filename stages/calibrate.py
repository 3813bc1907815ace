"""Fit temperature, familiarity and sets on images set aside: models/calibration.safetensors."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file

from digits.calibration import calibration_file, conformal, subspaces, temperature
from digits.calibration.calibration_file import Calibration, Facts
from digits.calibration.sections import Calibrate
from digits.common.files import replacing
from digits.common.stage import run
from digits.networks import devices, images, model_file
from digits.networks.familiarity import greys
from digits.networks.inference import log_probabilities

TRAIN = Path("data/normalized/train.safetensors")
VALIDATION = Path("data/normalized/validation.safetensors")
ANSWERS = Path("models/crossfit.safetensors")
MODEL = Path("models/model.safetensors")
CALIBRATION = Path("models/calibration.safetensors")
BATCH = 1000


def main(values: Calibrate) -> None:
    devices.make_deterministic(threads=1)
    about, model, validation = images.about(TRAIN), model_file.load(MODEL), images.read(VALIDATION)
    about.require_same(model.about, TRAIN, MODEL)
    about.require_same(validation.about, TRAIN, VALIDATION)
    about.require_same(images.about(ANSWERS), TRAIN, ANSWERS)
    if len(validation.labels):
        answers = log_probabilities(model.net, validation.images, BATCH)
        aside, learnt = batches(VALIDATION), batches(TRAIN)
    else:
        crossfit = load_file(ANSWERS)
        answers, rows = crossfit["log_probabilities"], crossfit["rows"]
        aside, learnt = batches(TRAIN, rows), batches(TRAIN, rows, others=True)
    conformal.rank(len(answers), values.coverage)  # where no image is set aside, nothing can be fitted
    familiarity = subspaces.fit(learnt, len(about.classes))
    scores, found_labels = zip(*((familiarity(part).numpy(), own) for part, own in aside), strict=True)
    labels = torch.cat(found_labels).numpy()
    found = temperature.fit(answers.numpy(), labels)
    facts = Facts(
        temperature=found,
        familiarity_threshold=subspaces.threshold(np.concatenate(scores), values.refuse),
        refuse=values.refuse,
        set_threshold=conformal.threshold(tempered(answers, found), labels, values.coverage),
        coverage=values.coverage,
        calibration_images=len(labels),
    )
    with replacing(CALIBRATION) as temporary:
        calibration_file.save(Calibration(facts, familiarity, about), temporary)
    print(
        f"{CALIBRATION}: temperature {found:.4f}, from {len(labels):,} images set aside; refused below a "
        f"familiarity of {facts.familiarity_threshold:.4f}, in the set from {np.exp(facts.set_threshold):.2%}"
    )


def batches(
    path: Path, rows: torch.Tensor | None = None, others: bool = False
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Images of a normalized set as grey values scaled to [0, 1], as they were, with their labels.

    All of them, or those of `rows`, or all `others`, in their order. The file is read in parts.
    """
    with safe_open(path, framework="pt") as file:
        pictures, labels = file.get_slice("images"), file.get_tensor("labels")
        mean, std = file.get_tensor("mean").item(), file.get_tensor("std").item()
        mine = torch.full((len(labels),), others or rows is None)
        if rows is not None:
            mine[rows] = not others
        for start in range(0, len(labels), BATCH):
            kept = mine[start : start + BATCH]
            part = pictures[start : start + BATCH][kept]
            yield greys(part, mean, std), labels[start : start + BATCH][kept]


def tempered(answers: torch.Tensor, temperature: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (answers.double() / temperature).log_softmax(1).numpy()
    return found


if __name__ == "__main__":
    run(main, Calibrate.read, "torch", "numpy", "safetensors")
