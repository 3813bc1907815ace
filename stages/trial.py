"""A trial of a sweep: what `normalize` and `train` do, in memory. Its numbers are theirs, to the bit."""

from pathlib import Path

import torch

from digits.common.about import About
from digits.data.datasets import Dataset, normalize, split
from digits.data.sections import Normalize
from digits.networks import devices
from digits.training.inputs import read_teacher
from digits.training.loop import Examples, TrainingError, train
from digits.training.sections import NO_TEACHER, TrainingValues
from digits.training.state import best_epoch

TEACHERS = Path("teachers")


def run(parameters: TrainingValues, values: Normalize, original: Dataset, about: About) -> dict[str, object]:
    """Train on these raw training images; return what became of it, ready for JSON.

    `status` is `completed` or `diverged`, `reason` says why; `curve` has a row for each epoch with the means
    over its images, and `kept` is the epoch whose weights the train stage would keep.
    """
    device = devices.choose(parameters.train.device)
    devices.make_deterministic(parameters.train.threads)
    mean, std = values.statistics(original.images, about)
    training, validation = (
        _examples(part, mean, std, device)
        for part in split(original, values.validation_size, values.validation_seed)
    )
    teacher = None
    if parameters.train.teacher != NO_TEACHER:
        path = TEACHERS / parameters.train.teacher
        teacher = read_teacher(path, mean, std, device, about.classes)
    try:
        _, history = train(
            parameters, training, validation, lambda _: None, None, teacher, classes=len(about.classes)
        )
    except TrainingError as error:
        return {"status": "diverged", "reason": str(error), "curve": [], "kept": None}
    ends = [row for row in history if row.validation_loss is not None]
    kept = best_epoch(history) if parameters.train.keep == "best" else ends[-1].epoch
    curve = [
        {
            "epoch": row.epoch,
            "loss": row.loss,
            "accuracy": row.accuracy,
            "validation_loss": row.validation_loss,
            "validation_accuracy": row.validation_accuracy,
        }
        for row in ends
    ]
    return {"status": "completed", "reason": "", "curve": curve, "kept": kept}


def _examples(data: Dataset, mean: float, std: float, device: torch.device) -> Examples:
    images = torch.from_numpy(normalize(data.images, mean, std))
    return Examples(images.to(device), torch.from_numpy(data.labels.astype("int64")).to(device))
