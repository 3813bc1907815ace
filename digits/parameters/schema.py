"""The schema of all of params.yaml. Reading it loads no torch, so whoever only plans the work can use it."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Annotated, Any, Self

from pydantic import ValidationError, model_validator

from digits.calibration.sections import Calibrate
from digits.common import parameters_file, wording
from digits.common.about import Data
from digits.common.choices import SideBySide, discover
from digits.common.parameters_file import ParameterError, Path_
from digits.common.section import Section
from digits.data.data_set import DataSet
from digits.data.data_set import without_values as without_set
from digits.data.sections import Download, Normalize, WebRuntime
from digits.evaluation.sections import Evaluate
from digits.networks.model import Model
from digits.onnx.sections import Export, Robustness, Shrink, Verify
from digits.page.sections import Report
from digits.shift.sections import Shift
from digits.training.augmentation import Augmentation
from digits.training.distillation import Distillation
from digits.training.ink import Ink
from digits.training.loss import Loss
from digits.training.outliers import Outliers
from digits.training.schedule import Schedule
from digits.training.sections import Crossfit, Train, TrainingValues, without_values
from digits.training.solver import Solver

SETS = discover("digits.sets", DataSet)
MODELS = discover("digits.models", Model)
SOLVERS = discover("digits.solvers", Solver)
LOSSES = discover("digits.losses", Loss)
SCHEDULES = discover("digits.schedules", Schedule)


class Parameters(Section):
    """All of params.yaml. There are no defaults here: every value stands in the file."""

    data: Data
    sets: Annotated[dict[str, DataSet], SideBySide(SETS)]
    download: Download
    normalize: Normalize
    train: Train
    models: Annotated[dict[str, Model], SideBySide(MODELS)]
    solvers: Annotated[dict[str, Solver], SideBySide(SOLVERS)]
    losses: Annotated[dict[str, Loss], SideBySide(LOSSES)]
    schedules: Annotated[dict[str, Schedule], SideBySide(SCHEDULES)]
    augmentation: Augmentation
    ink: Ink
    outliers: Outliers
    distillation: Distillation
    crossfit: Crossfit
    calibrate: Calibrate
    evaluate: Evaluate
    export: Export
    verify: Verify
    robustness: Robustness
    shift: Shift
    shrink: Shrink
    web_runtime: WebRuntime
    report: Report

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        train = self.train
        chosen = [("model", "models", train.model), ("solver", "solvers", train.solver)]
        chosen += [("loss", "losses", name) for name in train.loss_names]
        chosen += [("schedule", "schedules", train.schedule)]
        for key, section, name in chosen:
            if name not in getattr(self, section):
                raise ValueError(without_values(key, name, section))
        if self.data.set not in self.sets:
            raise ValueError(without_set(self.data.set))
        self.training.require_validation(self.normalize.validation_size)
        return self

    @property
    def training(self) -> TrainingValues:
        """What the train stage reads of it."""
        train = self.train
        return TrainingValues(
            train,
            self.models[train.model],
            self.solvers[train.solver],
            self.schedules[train.schedule],
            {name: self.losses[name] for name in train.loss_names},
            self.augmentation,
            self.ink,
            self.outliers,
            self.distillation,
        )


def read(path: Path_ = "params.yaml", overrides: Mapping[str, object] | None = None) -> Parameters:
    """Read and check a params.yaml; `overrides` maps dotted keys such as `train.epochs` to other values.

    Raises:
        ParameterError: the file is missing or broken, or a value is not allowed.
    """
    return reader(path)(overrides or {})


def reader(path: Path_) -> Callable[[Mapping[str, object]], Parameters]:
    """`read` for many `overrides`, each of the file as it is now: to parse it takes most of the time.

    Raises:
        ParameterError: as `read`; what it returns, too.
    """
    file = parameters_file.load(path, {})

    def changed(overrides: Mapping[str, object]) -> Parameters:
        tree = deepcopy(file)
        parameters_file.change(tree, overrides, path)
        return _check(tree, path)

    return changed


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
        lines = (f"{path}: {line}" for line in wording.lines(error, Parameters))
        raise ParameterError("\n".join(lines)) from None
