"""What the runtimes in JavaScript have in common: their packages, and the form of questions and answers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.onnx.contract import INPUT
from digits.onnx.runtime import RuntimeFailedError, RuntimeUnavailableError

FOLDER = Path(__file__).with_name("javascript")
TYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16, "int64": np.int64}


def package(name: str) -> Path:
    """The folder of an npm package.

    Raises:
        RuntimeUnavailableError: it is not installed.
    """
    folder = FOLDER / "node_modules" / name
    if not (folder / "package.json").is_file():
        raise RuntimeUnavailableError(
            f"{name} is not installed; install it: npm ci --ignore-scripts --prefix {_short(FOLDER)}"
        )
    return folder


def task(images: NDArray[np.uint8], batch_size: int, output: str) -> dict[str, Any]:
    """The head of a question; the images follow as raw bytes."""
    size = {"count": len(images), "batchSize": batch_size, "bytes": images.nbytes}
    return size | {"input": INPUT, "output": output}


def answers(head: dict[str, Any], body: bytes) -> NDArray[Any]:
    """What was answered, with the type and the shape that the runtime gave it.

    Raises:
        RuntimeFailedError: the answer is an error, or not whole.
    """
    if "error" in head:
        raise RuntimeFailedError(str(head["error"]))
    kind = TYPES.get(head["type"])
    if kind is None or len(body) != math.prod(head["shape"]) * np.dtype(kind).itemsize:
        raise RuntimeFailedError(f"{len(body)} bytes are no {head['type']} {head['shape']}")
    return np.frombuffer(body, kind).reshape(head["shape"])


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
