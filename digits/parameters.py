"""The schema of params.yaml. Reading it loads no torch, so whoever only plans the work can use it."""

import os
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
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
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits.errors import DigitsError
from digits.losses import LOSSES, Loss
from digits.models import MODELS, Model
from digits.registry import Section, SideBySide, one_of
from digits.schedules import SCHEDULES, Schedule
from digits.solvers import SOLVERS, Solver

Path_ = str | os.PathLike[str]


class ParameterError(DigitsError, ValueError):
    """params.yaml, or a change of it, is not valid; `str` has one line per mistake."""


def _mirror(address: str) -> str:
    if urlsplit(address).scheme not in ("https", "http", "file", "npm"):
        raise ValueError("must begin with https://, http://, file:// or npm:")
    return address


class Download(Section):
    """Where the four original files come from."""

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
    loss: Annotated[str, one_of(LOSSES)]
    schedule: Annotated[str, one_of(SCHEDULES)]
    epochs: PositiveInt
    batch_size: PositiveInt
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["float32", "bfloat16"]
    threads: PositiveInt
    log_interval: PositiveInt


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

    batch_sizes: Annotated[list[PositiveInt], Field(min_length=1)]
    optimizations: Annotated[list[Literal["disabled", "enabled"]], Field(min_length=1)]
    providers: Annotated[list[Literal["cpu", "cuda"]], Field(min_length=1)]
    tolerance: PositiveFloat


class Parameters(Section):
    """All of params.yaml. There are no defaults here: every value stands in the file."""

    download: Download
    normalize: Normalize
    train: Train
    models: Annotated[dict[str, Model], SideBySide(MODELS)]
    solvers: Annotated[dict[str, Solver], SideBySide(SOLVERS)]
    losses: Annotated[dict[str, Loss], SideBySide(LOSSES)]
    schedules: Annotated[dict[str, Schedule], SideBySide(SCHEDULES)]
    evaluate: Evaluate
    export: Export
    verify: Verify

    @model_validator(mode="after")
    def _chosen_have_values(self) -> Self:
        for key, section in (
            ("model", "models"),
            ("solver", "solvers"),
            ("loss", "losses"),
            ("schedule", "schedules"),
        ):
            name = getattr(self.train, key)
            if name not in getattr(self, section):
                raise ValueError(f"train.{key} is {name!r}, but there is no {section}.{name} with its values")
        return self

    @property
    def model(self) -> Model:
        return self.models[self.train.model]

    @property
    def solver(self) -> Solver:
        return self.solvers[self.train.solver]

    @property
    def loss(self) -> Loss:
        return self.losses[self.train.loss]

    @property
    def schedule(self) -> Schedule:
        return self.schedules[self.train.schedule]


def read(path: Path_ = "params.yaml", overrides: Mapping[str, object] | None = None) -> Parameters:
    """Read and check a params.yaml; `overrides` maps dotted keys such as `train.epochs` to other values.

    Raises:
        ParameterError: the file is missing or broken, or a value is not allowed.
    """
    return _check(_load(path, overrides or {}), path)


def write(path: Path_, overrides: Mapping[str, object]) -> None:
    """Check these changes, then write them into the file, comments kept, in one step.

    Raises:
        ParameterError: as `read`; the file is then as before.
    """
    tree = _load(path, overrides)
    _check(tree, path)
    descriptor, temporary = tempfile.mkstemp(dir=Path(path).parent, prefix=".params-")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            _yaml().dump(tree, file)
        os.chmod(temporary, Path(path).stat().st_mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _yaml() -> YAML:
    # The parser DVC uses: YAML 1.2, where 1e-06 is a number and `off` is a word.
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    return yaml


def _load(path: Path_, overrides: Mapping[str, object]) -> MutableMapping[str, Any]:
    try:
        tree = _yaml().load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParameterError(f"{path}: there is no such file; run from the project's folder") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, MutableMapping):
        raise ParameterError(f"{path}: must hold sections (key: value), not {tree!r}")
    for key, value in overrides.items():
        *parents, last = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, MutableMapping) else node
        if not isinstance(node, MutableMapping):
            raise ParameterError(f"{path}: {key} cannot be set: {'.'.join(parents)} holds no keys")
        node[last] = value
    return tree


def _check(tree: Mapping[str, Any], path: Path_) -> Parameters:
    try:
        return Parameters.model_validate(tree)
    except ValidationError as error:
        raise ParameterError("\n".join(f"{path}: {line}" for line in _lines(error))) from None


def _lines(error: ValidationError) -> Iterator[str]:
    for mistake in error.errors():
        key = ".".join(map(str, mistake["loc"]))
        value, context = mistake["input"], mistake.get("ctx", {})
        match mistake["type"]:
            case "missing":
                yield f"{key} is missing"
            case "extra_forbidden":
                known = ", ".join(_known_keys(mistake["loc"][:-1]))
                yield f"{key} is {value!r}, but there is no such key; allowed here: {known}"
            case "value_error" if not key:
                yield f"{context['error']}"
            case "value_error":
                yield f"{key} is {_plain(value)}; {context['error']}"
            case _:
                allowed = mistake["msg"].removeprefix("Input should be ").removeprefix("a valid ")
                allowed = allowed.replace("dictionary or instance of", "the keys of")
                yield f"{key} is {_plain(value)}; allowed: {allowed}"


def _plain(value: object) -> str:
    return repr(dict(value) if isinstance(value, Mapping) else value)


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    fields: Mapping[str, Any] = Parameters.model_fields
    for name in location:
        field = fields[str(name)]
        choices = [m.choices for m in getattr(field, "metadata", ()) if isinstance(m, SideBySide)]
        section: Any = field if isinstance(field, type) else field.annotation
        fields = choices[0] if choices else section.model_fields
    return sorted(fields)
