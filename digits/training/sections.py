"""The sections of params.yaml that decide how a network is trained, and all values of one training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field

from digits.common import choices, parameters_file
from digits.common.choices import choice, one_of
from digits.common.files import code_files
from digits.common.numbers import NonNegativeInt, PositiveInt
from digits.common.parameters_file import ParameterError, Path_
from digits.common.section import Section, TopSection, check
from digits.networks.model import Model
from digits.training import weighted_sum
from digits.training.augmentation import Augmentation
from digits.training.distillation import Distillation
from digits.training.ink import Ink
from digits.training.loss import Loss
from digits.training.outliers import Outliers
from digits.training.schedule import Schedule
from digits.training.solver import Solver
from digits.training.weighted_sum import WeightedSum

if TYPE_CHECKING:
    import torch

NO_TEACHER = "none"
ROOMS = ("common", "networks", "training")
"""Whose code has a part in what a training ends with, besides the chosen files."""


def _teacher(name: str) -> str:
    if name != NO_TEACHER and not re.fullmatch(r"[\w.-]+\.safetensors", name):
        raise ValueError(f"allowed: {NO_TEACHER}, or the name of a file in teachers/ such as cnn.safetensors")
    return name


class Train(TopSection):
    """How to train; `model`, `solver`, `loss` and `schedule` name entries of the sections beside it."""

    key = "train"

    model: Annotated[str, one_of(choices.names("digits.models"))]
    solver: Annotated[str, one_of(choices.names("digits.solvers"))]
    loss: weighted_sum.Chosen
    schedule: Annotated[str, one_of(choices.names("digits.schedules"))]
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


class Crossfit(TopSection):
    """On how many images a second network is asked that has not learnt from them; see stages/crossfit.py."""

    key = "crossfit"

    images: Annotated[int, Field(ge=100, lt=60_000)]


@dataclass(frozen=True)
class TrainingValues:
    """All that params.yaml says of one training: how, and the values of what `train` has chosen.

    Raises:
        ParameterError: they do not go together.
    """

    train: Train
    model: Model
    solver: Solver
    schedule: Schedule
    losses: Mapping[str, Loss]
    """Those that `train.loss` names, by name."""
    augmentation: Augmentation
    ink: Ink
    outliers: Outliers
    distillation: Distillation

    def __post_init__(self) -> None:
        if self.solver.own_rate and (self.train.schedule != "constant" or self.schedule.warmup):
            raise ParameterError(
                f"train.schedule is {self.train.schedule!r}, but the solver {self.train.solver} finds its "
                "learning rate by itself; allowed: constant, without warmup"
            )
        try:
            _ = self.loss
        except ValueError as error:
            raise ParameterError(f"train.loss: {error}") from None

    @classmethod
    def read(cls, path: Path_ = "params.yaml", overrides: Mapping[str, object] | None = None) -> Self:
        """What one training needs of the file; values of what it has not chosen are not looked at.

        Raises:
            ParameterError: the file is missing or broken, or a value is not allowed.
        """
        return cls.of(parameters_file.load(path, overrides or {}), path)

    @classmethod
    def of(cls, tree: Mapping[str, Any], path: Path_ = "params.yaml") -> Self:
        """Likewise, of the content of the file; `path` is for messages."""
        train = check(Train, tree, Train.key, path)
        values = cls._chosen(train, tree, path)
        try:
            return cls(train, **values)
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from None

    @staticmethod
    def _chosen(train: Train, tree: Mapping[str, Any], path: Path_) -> dict[str, Any]:
        def one(kind: str, base: type[Section], name: str, key: str) -> Section:
            if parameters_file.get(tree, f"{kind}.{name}") is None:
                raise ParameterError(f"{path}: {without_values(key, name, kind)}")
            return check(choice(f"digits.{kind}", name, base), tree, f"{kind}.{name}", path)

        return {
            "model": one("models", Model, train.model, "model"),
            "solver": one("solvers", Solver, train.solver, "solver"),
            "schedule": one("schedules", Schedule, train.schedule, "schedule"),
            "losses": {name: one("losses", Loss, name, "loss") for name in train.loss_names},
            "augmentation": check(Augmentation, tree, Augmentation.key, path),
            "ink": check(Ink, tree, Ink.key, path),
            "outliers": check(Outliers, tree, Outliers.key, path),
            "distillation": check(Distillation, tree, Distillation.key, path),
        }

    @cached_property
    def loss(self) -> Loss | WeightedSum:
        """What `train.loss` says."""
        return weighted_sum.build(self.train.loss, self.losses)

    @property
    def batch_size(self) -> int:
        """Images per batch: the solver's own, if it has one."""
        return int(getattr(self.solver, "batch_size", self.train.batch_size))

    @property
    def origin(self) -> dict[str, Any]:
        """The values that have a part in the result: `train`, and those of the names it chose."""
        chosen = self.train
        return {
            "train": chosen.model_dump(),
            "models": {chosen.model: self.model.model_dump()},
            "solvers": {chosen.solver: self.solver.model_dump()},
            "losses": {name: loss.model_dump() for name, loss in self.losses.items()},
            "schedules": {chosen.schedule: self.schedule.model_dump()},
            "augmentation": self.augmentation.model_dump(),
            **({} if self.ink.changes_nothing else {"ink": self.ink.model_dump()}),
            **({"outliers": self.outliers.model_dump()} if self.outliers.share else {}),
            **({"distillation": self.distillation.model_dump()} if chosen.teacher != NO_TEACHER else {}),
        }

    @property
    def changes_images(self) -> bool:
        """Whether training sees other images than it is given."""
        return not (self.augmentation.changes_nothing and self.ink.changes_nothing) or self.outliers.share > 0

    def changed(
        self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator, rows: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch as training sees it; of what is changed image by image, only `rows` are."""
        if self.outliers.share:
            images, labels = self.outliers(images, labels, generator)
        for change in (self.augmentation, self.ink):
            if not change.changes_nothing:
                images = change(images, generator, rows)
        return images, labels

    def require_validation(self, images: int) -> None:
        """Raises ParameterError where a choice by validation images is asked for, and there are none."""
        for key, neutral in (("keep", "last"), ("patience", 0)):
            if getattr(self.train, key) != neutral and not images:
                raise ParameterError(
                    f"train.{key} is {getattr(self.train, key)!r}, but there are no images to choose by; set "
                    f"normalize.validation_size above 0, or train.{key} to {neutral!r}"
                )

    @property
    def code(self) -> list[Path]:
        """The files of this library that have a part in the result; no other edit changes it."""
        digits, train = Path(__file__).parents[1], self.train
        chosen = [("models", train.model), ("solvers", train.solver), ("schedules", train.schedule)]
        chosen += [("losses", name) for name in train.loss_names]
        files = [digits / kind / f"{name}.py" for kind, name in chosen]
        return code_files(*(digits / room for room in ROOMS), *files)


def without_values(key: str, name: str, section: str) -> str:
    """That `train.key` names something that has no values."""
    return f"train.{key} is {name!r}, but there is no {section}.{name} with its values"
