"""Recipes: named sets of values for params.yaml, each with what it reached."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveFloat, ValidationError

from digits.common import wording as mistakes
from digits.common import yaml_text
from digits.common.errors import DigitsError
from digits.common.files import is_dropping
from digits.common.numbers import PositiveInt
from digits.common.section import Section
from digits.common.text import shown
from digits.common.yaml_text import YamlError

BASE = "tutorial"


class RecipeError(DigitsError, ValueError):
    """There is no such recipe, or its file is not valid; `str` is one line."""


class Claim(Section):
    """What the recipe reached on the test images, which had no part in its choice."""

    accuracy: Annotated[float, Field(ge=0, le=1)]
    """Mean over the seeds."""
    deviation: Annotated[float, Field(ge=0, le=1)]
    """Standard deviation of a single run, from the same runs."""
    seeds: Annotated[list[PositiveInt], Field(min_length=5)]
    seconds: PositiveFloat
    """Median over the runs, from reading the data to the last step."""
    hardware: str
    """Where, and what else was at work there."""


class Recipe(Section):
    """One file of `recipes/`."""

    about: str
    claim: Claim
    parameters: dict[str, Any]
    """As nested as in params.yaml."""


def names(folder: Path) -> list[str]:
    """All recipes of a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml") if not is_dropping(path.name))


def read(folder: Path, name: str) -> Recipe:
    """Raises RecipeError where there is no such recipe, or where its file is not valid."""
    path = folder / f"{name}.yaml"
    if name not in names(folder):
        known = ", ".join(names(folder)) or f"none in {folder}"
        raise RecipeError(f"there is no recipe {shown(name)}; there are {known}")
    try:
        return Recipe.model_validate(yaml_text.read(path))
    except YamlError as error:
        raise RecipeError(str(error)) from None
    except ValidationError as error:
        raise RecipeError(f"{path}: {next(mistakes.lines(error, Recipe))}") from None


def overrides(folder: Path, name: str) -> dict[str, object]:
    """Dotted keys and values that make params.yaml that of this recipe, whichever it was before.

    They begin with those of `tutorial`, which names every value that any recipe changes.

    Raises:
        RecipeError: as `read`.
    """
    chosen, base = read(folder, name), read(folder, BASE)
    return {**dict(_dotted(base.parameters)), **dict(_dotted(chosen.parameters))}


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
