"""What a runtime has to be: all are behind one protocol, each in a file of `digits/runtimes`."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digits.common.choices import choice
from digits.common.errors import DigitsError
from digits.onnx.contract import OUTPUT

if TYPE_CHECKING:
    from digits.networks.classifier import Classifier


class RuntimeUnavailableError(DigitsError):
    """A runtime that was asked for is not installed, or would be replaced by another without a word."""


class NoDeviceError(RuntimeUnavailableError):
    """The hardware that a runtime is for is not here, which no installation mends."""


class RuntimeFailedError(DigitsError):
    """A runtime refuses the model, or breaks while it computes."""


class Model(NamedTuple):
    """The model in both of its forms; all runtimes but PyTorch load the ONNX file."""

    onnx: bytes
    classifier: Classifier


class Runtime(ABC):
    """A loaded model."""

    name: str
    version: str
    provider: str
    """What really computes, as the runtime itself reports it."""
    levels: ClassVar[tuple[str, ...]] = ("default",)
    """The levels of graph optimization that it can be asked for."""
    threads: ClassVar[int | None] = None
    """Of the CPU, that it computes with; None: not for it to choose."""
    computes_all: ClassVar[bool] = False
    """Whether it computes all outputs whichever is asked for: `values` has several for the price of one."""
    dtype: ClassVar[type[np.floating]] = np.float32
    """Of its answers."""

    @abstractmethod
    def __init__(self, model: Model, level: str) -> None:
        """Load the model.

        Raises:
            RuntimeUnavailableError: the runtime is not here.
            RuntimeFailedError: it does not take the model.
        """

    @abstractmethod
    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        """Log-probabilities [n, classes], or familiarity [n], of raw images [n, 1, 28, 28], as one batch."""

    def predict_all(
        self, images: NDArray[np.uint8], batch_size: int, output: str = OUTPUT
    ) -> NDArray[np.floating]:
        """The same of all images, `batch_size` at a time; the last batch may be smaller."""
        starts = range(0, len(images), batch_size)
        return np.concatenate([self.predict(images[i : i + batch_size], output) for i in starts])

    def predict_outputs(
        self, images: NDArray[np.uint8], batch_size: int, names: Sequence[str]
    ) -> list[NDArray[np.floating]]:
        """As `predict_all`, for several outputs by name."""
        if not self.computes_all:
            return [self.predict_all(images, batch_size, name) for name in names]
        starts = range(0, len(images), batch_size)
        batches = [self.values(images[i : i + batch_size], names) for i in starts]
        return [np.concatenate(parts) for parts in zip(*batches, strict=True)]

    def values(self, images: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.floating]]:
        """Other outputs of the model by name, of raw images [n, 1, 28, 28].

        Raises:
            RuntimeFailedError: the runtime cannot tell them.
        """
        raise RuntimeFailedError(f"{self.name} is not asked for what its layers answer")

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """End what was started for it."""


ORACLE, YARDSTICK = "pytorch_float64", "pytorch_float32"
"""The runtimes that the others are held against, in every verification."""


def find(name: str) -> type[Runtime]:
    """The runtime in the file of this name."""
    return choice("digits.runtimes", name, Runtime)


def require(module: str, extra: str) -> Any:
    """Import an optional package, or say how to install it.

    Raises:
        RuntimeUnavailableError: it is not installed, or does not load.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RuntimeUnavailableError(f"{error}; install it: pip install '.[{extra}]'") from error
