"""What a sweep tries: a file of `sweeps/`, checked and laid out as trials."""

import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, prod
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from digits.common import wording as mistakes
from digits.common import yaml_text
from digits.common.errors import DigitsError
from digits.common.files import is_dropping
from digits.common.numbers import NonNegativeInt, PositiveInt
from digits.common.parameters_file import ParameterError
from digits.common.section import Section
from digits.common.text import cut, shown
from digits.common.yaml_text import YamlError
from digits.parameters import schema as parameters
from digits.parameters.schema import Parameters

BASELINE = "params.yaml"
MOST = 10_000
"""Trials of a sweep."""


class PlanError(DigitsError, ValueError):
    """A sweep is not possible; `str` has one line per mistake."""


# Beyond it, the difference of two is no number any more.
Bound = Annotated[float, Field(ge=-1e300, le=1e300)]


class Range(Section):
    """Numbers from `low` to `high`, for a random search."""

    low: Bound
    high: Bound
    log: bool = False
    """Whether each order of magnitude is as likely as any other."""
    whole: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 where log is true")
        return self

    def draw(self, generator: random.Random) -> float | int:
        bounds = (log(self.low), log(self.high)) if self.log else (self.low, self.high)
        value = generator.uniform(*bounds)
        value = exp(value) if self.log else value
        return round(value) if self.whole else float(f"{value:.4g}")


Choices = Annotated[list[Any], Field(min_length=1)]


class Configuration(Section):
    """Something to try, by name: values of dotted keys, and choices of values."""

    name: Annotated[str, Field(min_length=1)]
    set: dict[str, Any] = Field(default_factory=dict)
    over: dict[str, Choices | Range] = Field(default_factory=dict)


class Plan(Section):
    """A whole sweep."""

    about: str
    fixed: dict[str, Any]
    """Of every trial, by dotted key."""
    configurations: Annotated[list[Configuration], Field(min_length=1)]
    search: Literal["grid", "random"] = "grid"
    points: PositiveInt | None = None
    """Of each configuration with choices, in a random search."""
    search_seed: NonNegativeInt = 0
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    tune_seeds: list[NonNegativeInt] = Field(default_factory=list)
    """With any, choices are made with these alone; the best of each configuration then runs with `seeds`."""
    baseline: str = BASELINE
    """The configuration that the others are compared with."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [c.name for c in self.configurations]
        if len(set(names)) < len(names) or BASELINE in names:
            raise ValueError(f"configurations need different names, none of them {BASELINE}")
        if self.baseline not in (BASELINE, *names):
            raise ValueError(f"baseline is {self.baseline!r}; allowed: {', '.join((BASELINE, *names))}")
        if (self.search == "random") != (self.points is not None):
            raise ValueError("search: random needs points, and points need search: random")
        ranges = [c.name for c in self.configurations if any(isinstance(v, Range) for v in c.over.values())]
        if ranges and self.search == "grid":
            raise ValueError(f"{ranges[0]} has a range, which needs search: random")
        points = sum(self.points_of(c) for c in self.configurations)
        if (trials := points * (len(self.tune_seeds) or len(self.seeds))) > MOST:
            raise ValueError(f"that is {trials:,} trials; a sweep has at most {MOST:,}")
        for key in ("seeds", "tune_seeds"):
            if len(set(seeds := getattr(self, key))) < len(seeds):
                raise ValueError(f"{key} must differ, as equal ones are one trial")
        several = [c for c in self.configurations if c.name == self.baseline and c.over]
        if several and not self.tune_seeds:
            raise ValueError(f"the baseline {self.baseline} has choices; give tune_seeds to choose by")
        return self

    def points_of(self, configuration: Configuration) -> int:
        """How many sets of values it tries."""
        if self.points and configuration.over:
            return self.points
        return prod(len(values) for values in configuration.over.values() if isinstance(values, list))


@dataclass(frozen=True, eq=False)
class Point:
    """One set of values; equal to itself alone."""

    configuration: str
    chosen: Mapping[str, Any]
    """Of the configuration's choices, by dotted key."""
    overrides: Mapping[str, Any]
    """All that differs from params.yaml, by dotted key, but for the seed."""
    parameters: Parameters

    @property
    def label(self) -> str:
        """Its configuration, and what was chosen, if there was a choice."""
        values = (f"{key.split('.')[-1]}={_text(value)}" for key, value in self.chosen.items())
        return " ".join([self.configuration, *values])

    def with_seed(self, seed: int) -> Parameters:
        return self.parameters.model_copy(
            update={"train": self.parameters.train.model_copy(update={"seed": seed})}
        )


def find(folder: Path, name: str) -> Path:
    """The file of this sweep. Raises PlanError where the folder has none of this very name."""
    known = sorted(path.stem for path in folder.glob("*.yaml") if not is_dropping(path.name))
    if name not in known:
        raise PlanError(
            f"there is no sweep {shown(name)}; there are {', '.join(known) or f'none in {folder}'}"
        )
    return folder / f"{name}.yaml"


def read(path: Path) -> Plan:
    """Raises PlanError where the file is missing, or not valid."""
    if not path.exists():
        known = ", ".join(sorted(str(p) for p in path.parent.glob("*.yaml"))) or f"none in {path.parent}"
        raise PlanError(f"{path}: there is no such file; sweeps: {known}")
    try:
        return Plan.model_validate(yaml_text.read(path))
    except YamlError as error:
        raise PlanError(str(error)) from None
    except ValidationError as error:
        raise PlanError("\n".join(f"{path}: {line}" for line in mistakes.lines(error, Plan))) from None


def lay_out(plan: Plan, params: Path) -> list[Point]:
    """Every point of a plan, each checked as a change of the file `params`.

    Raises:
        PlanError: the file or values are not valid, or no images are set aside to compare the points by.
    """
    try:
        changed = parameters.reader(params)
    except ParameterError as error:
        raise PlanError(str(error)) from None
    configurations = list(plan.configurations)
    if plan.baseline == BASELINE:
        configurations.insert(0, Configuration(name=BASELINE))
    generator, points = random.Random(plan.search_seed), []
    wrong: dict[str, dict[str, None]] = {}
    """By mistake, the configurations that have it, each once."""
    for configuration in configurations:
        for chosen in _choices(configuration, plan.points, generator):
            overrides = {**plan.fixed, **configuration.set, **chosen}
            try:
                values = changed(overrides)
            except ParameterError as error:
                for line in str(error).splitlines():
                    wrong.setdefault(line, {})[configuration.name] = None
                continue
            if not values.normalize.validation_size:
                raise PlanError(
                    "normalize.validation_size is 0, so there are no images to compare by; set it under "
                    "`fixed`, such as normalize.validation_size: 10000"
                )
            points.append(Point(configuration.name, chosen, overrides, values))
    if wrong:
        told = (f"{_who([*names])}: {line}" for line, names in wrong.items())
        raise PlanError("\n".join(mistakes.first(told, len(wrong))))
    return points


def _who(names: Sequence[str]) -> str:
    others = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"{cut(names[0])}{others}"


def _choices(
    configuration: Configuration, points: int | None, generator: random.Random
) -> Iterator[dict[str, Any]]:
    over = configuration.over
    if points and over:
        for _ in range(points):
            yield {key: _draw(values, generator) for key, values in over.items()}
    else:
        lists: Sequence[list[Any]] = [values for values in over.values() if not isinstance(values, Range)]
        yield from (dict(zip(over, values, strict=True)) for values in itertools.product(*lists))


def _draw(values: list[Any] | Range, generator: random.Random) -> Any:
    return values.draw(generator) if isinstance(values, Range) else generator.choice(values)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
