"""The schema of params.yaml. Reading it loads no torch, so whoever only plans the work can use it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from digits import combined_loss, mistakes, parameters_file
from digits.augmentation import Augmentation
from digits.combined_loss import Combination
from digits.distillation import Distillation
from digits.losses import LOSSES, Loss
from digits.models import MODELS, Model
from digits.parameters_file import ParameterError
from digits.registry import Section, SideBySide, file_names, one_of
from digits.schedules import SCHEDULES, Schedule
from digits.solvers import SOLVERS, Solver

Path_ = str | os.PathLike[str]
NO_TEACHER = "none"
# By name only: to import them would make every stage depend on all of them.
RUNTIMES = file_names([str(Path(__file__).with_name("runtimes"))])


def _mirror(address: str) -> str:
    if urlsplit(address).scheme not in ("https", "http", "file", "npm"):
        raise ValueError("must begin with https://, http://, file:// or npm:")
    return address


def _teacher(name: str) -> str:
    if name != NO_TEACHER and not re.fullmatch(r"[\w.-]+\.safetensors", name):
        raise ValueError(f"allowed: {NO_TEACHER}, or the name of a file in teachers/ such as cnn.safetensors")
    return name


class Download(Section):
    """Where published files come from."""

    mirrors: Annotated[list[Annotated[str, AfterValidator(_mirror)]], Field(min_length=1)]
    attempts: PositiveInt
    timeout: PositiveFloat


class Normalize(Section):
    """What the training images' grey values, scaled to [0, 1], are shifted and divided by; the split."""

    mean: Annotated[float, Field(ge=0, le=1)]
    std: Annotated[float, Field(gt=0, le=1)]
    validation_size: Annotated[int, Field(ge=0, lt=60_000)]
    validation_seed: NonNegativeInt


class Train(Section):
    """How to train; `model`, `solver`, `loss` and `schedule` name entries of the sections below."""

    model: Annotated[str, one_of(MODELS)]
    solver: Annotated[str, one_of(SOLVERS)]
    loss: combined_loss.Chosen
    schedule: Annotated[str, one_of(SCHEDULES)]
    epochs: PositiveInt
    batch_size: PositiveInt
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["float32", "bfloat16"]
    threads: PositiveInt
    log_interval: PositiveInt
    keep: Literal["last", "best"]
    patience: NonNegativeInt
    teacher: Annotated[str, AfterValidator(_teacher)]
    stream: bool
    """Whether the images are read while training instead of before."""

    @property
    def loss_names(self) -> list[str]:
        """The losses that `loss` consists of."""
        return [self.loss] if isinstance(self.loss, str) else [term["name"] for term in self.loss]


class Evaluate(Section):
    """How to evaluate, and the accuracy below which the model is refused."""

    batch_size: PositiveInt
    min_accuracy: Annotated[float, Field(ge=0, le=1)]
    mistakes: PositiveInt


class Export(Section):
    """The ONNX operator set."""

    opset: Annotated[int, Field(ge=18, le=23)]


class Verify(Section):
    """What is compared, and how far from the float64 result a runtime may be."""

    runtimes: Annotated[list[Annotated[str, one_of(RUNTIMES)]], Field(min_length=1)]
    batch_sizes: Annotated[list[PositiveInt], Field(min_length=1)]
    optimizations: Annotated[list[Literal["disabled", "enabled"]], Field(min_length=1)]
    tolerance: PositiveFloat
    near_ties: NonNegativeInt


class Shrink(Section):
    """Which smaller models to try, and what accuracy they may cost."""

    formats: Annotated[list[Literal["float16", "int8"]], Field(min_length=1)]
    calibration_images: Annotated[int, Field(ge=1, le=60_000)]
    max_accuracy_drop: Annotated[float, Field(ge=0, le=1)]


class Parameters(Section):
    """All of params.yaml. There are no defaults here: every value stands in the file."""

    download: Download
    normalize: Normalize
    train: Train
    models: Annotated[dict[str, Model], SideBySide(MODELS)]
    solvers: Annotated[dict[str, Solver], SideBySide(SOLVERS)]
    losses: Annotated[dict[str, Loss], SideBySide(LOSSES)]
    schedules: Annotated[dict[str, Schedule], SideBySide(SCHEDULES)]
    augmentation: Augmentation
    distillation: Distillation
    evaluate: Evaluate
    export: Export
    verify: Verify
    shrink: Shrink
    web_runtime: Download

    @model_validator(mode="after")
    def _chosen_have_values(self) -> Self:
        for key, section in (
            ("model", "models"),
            ("solver", "solvers"),
            ("loss", "losses"),
            ("schedule", "schedules"),
        ):
            for name in self.train.loss_names if key == "loss" else [getattr(self.train, key)]:
                if name not in getattr(self, section):
                    raise ValueError(
                        f"train.{key} is {name!r}, but there is no {section}.{name} with its values"
                    )
        if self.solver.own_rate and (self.train.schedule != "constant" or self.schedule.warmup):
            raise ValueError(
                f"train.schedule is {self.train.schedule!r}, but the solver {self.train.solver} finds its "
                "learning rate by itself; allowed: constant, without warmup"
            )
        for key, neutral in (("keep", "last"), ("patience", 0)):
            if getattr(self.train, key) != neutral and not self.normalize.validation_size:
                raise ValueError(
                    f"train.{key} is {getattr(self.train, key)!r}, but there are no images to choose by; set "
                    f"normalize.validation_size above 0, or train.{key} to {neutral!r}"
                )
        try:
            combined_loss.build(self.train.loss, self.losses)
        except ValueError as error:
            raise ValueError(f"train.loss: {error}") from None
        return self

    @property
    def model(self) -> Model:
        return self.models[self.train.model]

    @property
    def solver(self) -> Solver:
        return self.solvers[self.train.solver]

    @property
    def batch_size(self) -> int:
        """Images per batch: the solver's own, if it has one."""
        return int(getattr(self.solver, "batch_size", self.train.batch_size))

    @property
    def loss(self) -> Loss | Combination:
        return combined_loss.build(self.train.loss, self.losses)

    @property
    def schedule(self) -> Schedule:
        return self.schedules[self.train.schedule]

    @property
    def of_training(self) -> dict[str, Any]:
        """The values that have a part in training: `train`, and those of the names it chose."""
        chosen = self.train
        return {
            "train": chosen.model_dump(),
            "models": {chosen.model: self.model.model_dump()},
            "solvers": {chosen.solver: self.solver.model_dump()},
            "losses": {name: self.losses[name].model_dump() for name in chosen.loss_names},
            "schedules": {chosen.schedule: self.schedule.model_dump()},
            "augmentation": self.augmentation.model_dump(),
            **({"distillation": self.distillation.model_dump()} if chosen.teacher != NO_TEACHER else {}),
        }


def read(path: Path_ = "params.yaml", overrides: Mapping[str, object] | None = None) -> Parameters:
    """Read and check a params.yaml; `overrides` maps dotted keys such as `train.epochs` to other values.

    Raises:
        ParameterError: the file is missing or broken, or a value is not allowed.
    """
    return _check(parameters_file.load(path, overrides or {}), path)


def write(path: Path_, overrides: Mapping[str, object]) -> dict[str, object]:
    """Check these changes, then write them into the file, comments kept, in one step.

    Returns:
        those that differ from what the file held; without any, it is not touched.

    Raises:
        ParameterError: as `read`; the file is then as before.
    """
    before = parameters_file.load(path, {})
    changed = {key: value for key, value in overrides.items() if parameters_file.get(before, key) != value}
    # What stays is not touched, and so looks as it did.
    tree = parameters_file.load(path, changed, to_save=True)
    _check(tree, path)
    if not changed:
        return changed
    parameters_file.save(path, tree)
    return changed


def _check(tree: Mapping[str, Any], path: Path_) -> Parameters:
    try:
        return Parameters.model_validate(tree)
    except ValidationError as error:
        lines = (f"{path}: {line}" for line in mistakes.lines(error, Parameters))
        raise ParameterError("\n".join(lines)) from None
