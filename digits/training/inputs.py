"""What a training starts from: images, a teacher, and what tells whether a checkpoint belongs to it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from digits.common.errors import DigitsError
from digits.common.files import code_sha256, sha256
from digits.networks import images, model_file
from digits.networks.images import Images
from digits.training.sections import NO_TEACHER, TrainingValues
from digits.training.streaming import require_room

LARGEST_PART = 6
"""At most one image in so many is set aside, that the others may stand for all."""


def read_examples(path: Path, device: torch.device) -> Images:
    """A file of normalized images, on this device.

    Raises:
        StreamError: they have no room in memory.
        DigitsError: they are not what they must be.
    """
    require_room(path, device)
    return images.read(path, device)


def read_teacher(
    path: Path, mean: float, std: float, device: torch.device, classes: Sequence[str]
) -> torch.nn.Module:
    """The network of a model file, on this device.

    Raises:
        DigitsError: there is no such model, or it takes other images, or tells other classes apart.
    """
    if not path.exists():
        raise DigitsError(
            f"train.teacher is {path.name!r}, but there is no {path}; copy a trained model.safetensors to it"
        )
    teacher = model_file.load(path)
    if (teacher.mean, teacher.std) != (mean, std):
        raise DigitsError(
            f"{path} takes images normalized with mean {teacher.mean} and std {teacher.std}, but "
            f"these are with {mean} and {std}; train the teacher with these, or set train.teacher: none"
        )
    if teacher.about.classes != [*classes]:
        raise DigitsError(
            f"{path} tells {len(teacher.about.classes)} classes apart ({teacher.about.title}), but there are "
            f"{len(classes)}: {', '.join(classes)}; train the teacher on these, or set train.teacher: none"
        )
    return teacher.net.to(device)


def chosen_teacher(
    values: TrainingValues,
    folder: Path,
    mean: float,
    std: float,
    device: torch.device,
    classes: Sequence[str],
) -> tuple[torch.nn.Module | None, dict[str, Any]]:
    """The teacher that `train.teacher` names in this folder, and the training's origin with its hash.

    Raises:
        DigitsError: as `read_teacher`.
    """
    name, origin = values.train.teacher, values.origin
    if name == NO_TEACHER:
        return None, origin
    teacher = read_teacher(folder / name, mean, std, device, classes)
    origin["distillation"]["teacher_sha256"] = sha256(folder / name)
    return teacher, origin


def identity(
    made_from: dict[str, Any], code: Sequence[Path], data_sha256: str, device: torch.device, processes: int
) -> dict[str, str]:
    """Everything that decides where a training ends; `code` is all files that have a part in it."""
    return {
        "parameters": json.dumps(made_from),
        "data_sha256": data_sha256,
        "code_sha256": code_sha256(code, Path(__file__).parents[2]),
        "torch": torch.__version__,
        "device": device.type,
        "processes": str(processes),
    }


def set_aside(total: int, count: int) -> NDArray[np.int64]:
    """The numbers of `count` of `total` images, evenly spread, a sixth of them at most."""
    found: NDArray[np.int64] = np.linspace(0, total - 1, min(count, total // LARGEST_PART)).astype(np.int64)
    return found
