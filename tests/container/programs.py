"""The programs of container/: as modules, and in a project with packages of its own."""

import importlib
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.project import ROOT

FOLDER = ROOT / "container"


def load(name: str) -> ModuleType:
    """A program as a module, which finds the others beside it as when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(FOLDER), *sys.path])
        return importlib.import_module(name)


def copy_programs(folder: Path) -> None:
    """Put all of them where a project in `folder` has them."""
    shutil.copytree(FOLDER, folder / "container", ignore=shutil.ignore_patterns("__pycache__"))


def install(folder: Path, name: str, version: str, said: str) -> None:
    """A package whose metadata say this, for a PYTHONPATH with `folder`."""
    own = folder / f"{name}-{version}.dist-info"
    own.mkdir(parents=True)
    (own / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{said}\n")
