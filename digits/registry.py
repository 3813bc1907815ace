"""Choices by name: the class in `digits/solvers/sgd.py` is what `train.solver: sgd` picks.

A new choice is one file with one class; nothing else has to know of it. Choices are read with the parameters,
also where nothing is trained, so their files import torch only inside their methods.
"""

import importlib
import pkgutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Section(BaseModel):
    """A part of params.yaml: exact types, no unknown key, no NaN or infinity, never changed once read."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


T = TypeVar("T")


def discover(package: str, base: type[T]) -> Mapping[str, type[T]]:
    """The subclass of `base` that each file of `package` defines, under the file's name, sorted by name."""
    names = file_names(importlib.import_module(package).__path__)
    return {name: only_class(f"{package}.{name}", base) for name in names}


def file_names(folders: Iterable[str]) -> list[str]:
    """What discover finds there, without importing any: all modules whose names begin with no underscore."""
    return sorted(m.name for m in pkgutil.iter_modules(folders) if not m.name.startswith("_"))


def only_class(module: str, base: type[T]) -> type[T]:
    """The one subclass of `base` that a module defines itself."""
    members = vars(importlib.import_module(module)).values()
    own = [m for m in members if isinstance(m, type) and issubclass(m, base) and m.__module__ == module]
    if len(own) != 1:
        raise TypeError(f"{module} must define one {base.__name__}, not {len(own)}")
    return own[0]


@dataclass(frozen=True)
class SideBySide:
    """Annotates a mapping of name to values, each checked by the class that has this name among `choices`."""

    choices: Mapping[str, type[Section]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        fields = {
            name: core_schema.typed_dict_field(handler.generate_schema(choice), required=False)
            for name, choice in self.choices.items()
        }
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid", strict=True)


def one_of(choices: Collection[str]) -> AfterValidator:
    """Annotates a name that must be one of these."""

    def check(name: str) -> str:
        if name not in choices:
            raise ValueError(f"allowed: {', '.join(choices)}")
        return name

    return AfterValidator(check)
