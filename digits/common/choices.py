"""Choices by name: the class in `digits/solvers/sgd.py` is what `train.solver: sgd` picks.

A new choice is one file with one class; nothing else has to know of it. All of them are read with params.yaml
as a whole, also where nothing is trained, so their files import torch only inside their methods.
"""

import importlib
import pkgutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AfterValidator, BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from digits.common import files

T = TypeVar("T")


def discover(package: str, base: type[T]) -> Mapping[str, type[T]]:
    """The subclass of `base` that each file of `package` defines, under the file's name, sorted by name."""
    return {name: choice(package, name, base) for name in names(package)}


def names(package: str) -> list[str]:
    """What `discover` finds there, without importing any: all modules whose names begin with a letter."""
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return sorted(m.name for m in modules if m.name.isidentifier() and not m.name.startswith("_"))


def choice(package: str, name: str, base: type[T]) -> type[T]:
    """The one subclass of `base` that the file of this name defines itself."""
    module = f"{package}.{name}"
    members = vars(importlib.import_module(module)).values()
    own = [m for m in members if isinstance(m, type) and issubclass(m, base) and m.__module__ == module]
    if len(own) != 1:
        raise TypeError(f"{module} must define one {base.__name__}, not {len(own)}")
    return own[0]


def code_sha256(package: str, chosen: Iterable[str]) -> dict[str, str]:
    """For each chosen name, its code: that of its file and of all files there that are no choices."""
    folder, others = Path(importlib.import_module(package).__path__[0]), names(package)
    shared = [path for path in files.code_files(folder) if path.parent != folder or path.stem not in others]
    return {name: files.code_sha256([folder / f"{name}.py", *shared], folder) for name in sorted(set(chosen))}


@dataclass(frozen=True)
class SideBySide:
    """Annotates a mapping of name to values, each checked by the class that has this name among `choices`."""

    choices: Mapping[str, type[BaseModel]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        fields = {
            name: core_schema.typed_dict_field(handler.generate_schema(choice), required=False)
            for name, choice in self.choices.items()
        }
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid", strict=True)


def one_of(allowed: Collection[str]) -> AfterValidator:
    """Annotates a name that must be one of these."""

    def check(name: str) -> str:
        if name not in allowed:
            raise ValueError(f"allowed: {', '.join(allowed)}")
        return name

    return AfterValidator(check)
