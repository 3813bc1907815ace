"""Train a second network without some of the training images, and keep its answers for them.

A network's answers for images that it learnt from are too sure, so nothing can be calibrated by them. Where
no images are set aside (normalize.validation_size is 0) and the network is to learn from all, a second
one of the same values, trained without `crossfit.images` of them, stands in for it.
"""

from pathlib import Path
from typing import NamedTuple, Self

import safetensors.torch
import torch

from digits.common.about import METADATA
from digits.common.files import replacing, sha256
from digits.common.stage import run
from digits.networks import devices, images
from digits.networks.inference import log_probabilities
from digits.training.inputs import chosen_teacher, identity, read_examples, set_aside
from digits.training.loop import Checkpoint, Examples, train
from digits.training.sections import Crossfit, TrainingValues

TRAIN = Path("data/normalized/train.safetensors")
VALIDATION = Path("data/normalized/validation.safetensors")
TEACHERS = Path("teachers")
ANSWERS = Path("models/crossfit.safetensors")
CHECKPOINT = Path("models/.crossfit.part")
BATCH = 1000


class Values(NamedTuple):
    training: TrainingValues
    crossfit: Crossfit

    @classmethod
    def read(cls) -> Self:
        return cls(TrainingValues.read(), Crossfit.read())


def main(values: Values) -> None:
    training = values.training
    device = devices.choose(training.train.device)
    devices.make_deterministic(training.train.threads)
    about, validation = images.about(TRAIN), read_examples(VALIDATION, device)
    about.require_same(validation.about, TRAIN, VALIDATION)
    if count := len(validation.labels):
        print(f"{count:,} images are set aside already; no second network is needed")
        none = torch.empty(0, len(about.classes))
        found = {"log_probabilities": none, "rows": torch.empty(0, dtype=torch.int64)}
    else:
        found = second_network(training, values.crossfit.images, device)
    with replacing(ANSWERS) as temporary:
        temporary.write_bytes(safetensors.torch.save(found, {METADATA: about.text}))
    CHECKPOINT.unlink(missing_ok=True)


def second_network(values: TrainingValues, count: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Which training images were set aside, `rows` [n], and its answers for them [n, classes]."""
    examples = read_examples(TRAIN, device)
    classes = examples.about.classes
    rows = torch.from_numpy(set_aside(len(examples.labels), count))
    learnt = torch.ones(len(examples.labels), dtype=torch.bool)
    learnt[rows] = False
    others = Examples(examples.images[learnt], examples.labels[learnt])
    teacher, origin = chosen_teacher(values, TEACHERS, examples.mean, examples.std, device, classes)
    origin["crossfit"] = {"images": len(rows)}
    code = [*values.code, Path(__file__)]
    checkpoint = Checkpoint(CHECKPOINT, lambda: identity(origin, code, sha256(TRAIN), device, 1))
    print(f"training on {device}: {len(others):,} images, {len(rows):,} set aside")
    net, _ = train(values, others, None, print, checkpoint, teacher, classes=len(classes))
    answers = log_probabilities(net, examples.images[rows], BATCH)
    return {"log_probabilities": answers.cpu(), "rows": rows}


if __name__ == "__main__":
    run(main, Values.read, "torch", "numpy", "safetensors")
