"""Keeps PyTorch's compiler out of processes that do not use it."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

NAME = "torch._dynamo"


@contextmanager
def not_loaded() -> Iterator[None]:
    """Within this block, optimizers do not load the compiler, which takes a second.

    They load it only to tell it where not to look (`disable`, `graph_break`). Whatever asks for anything else
    gets the real module.
    """
    if NAME in sys.modules:
        yield
        return
    absent = _Absent(NAME)
    sys.modules[NAME] = torch._dynamo = absent
    try:
        yield
    finally:
        absent.remove()


class _Absent(ModuleType):
    def disable(self, function: Any, *_: object, **__: object) -> Any:
        return function

    def graph_break(self) -> None:
        pass

    def remove(self) -> None:
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME], torch._dynamo

    def __getattr__(self, name: str) -> Any:
        self.remove()
        return getattr(importlib.import_module(NAME), name)
