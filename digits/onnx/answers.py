"""What runtimes answer, and what is expected of the second output."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import DigitsError
from digits.onnx.contract import FAMILIARITY, OUTPUT
from digits.onnx.figures import short
from digits.onnx.runtime import Runtime

Answers = NDArray[np.floating]
BATCH = 1000  # of PyTorch


class ParityError(DigitsError):
    """A runtime disagrees with PyTorch, or nothing was compared."""


def answers_of(
    runtime: Runtime, images: NDArray[np.uint8], shapes: Mapping[str, tuple[int, ...]], batch_size: int
) -> list[Answers]:
    """What a runtime says of all images in the outputs that have these shapes.

    Raises:
        ParityError: it fails, or answers with another type or shape, or with what is no number.
    """
    try:
        answers = runtime.predict_outputs(images, batch_size, list(shapes))
    except Exception as error:  # the runtimes' errors share no narrower class
        raise ParityError(f"it fails: {' '.join(str(error).split())}") from error
    for (output, shape), found in zip(shapes.items(), answers, strict=True):
        if found.dtype != runtime.dtype or found.shape != shape or not np.isfinite(found).all():
            what = "answers" if output == OUTPUT else f"answers of {output}"
            raise ParityError(f"{what} are {found.dtype} {list(found.shape)}, or not finite")
    return answers


class Familiar:
    """What is expected of the second output for `images`, and which of them it refuses."""

    def __init__(
        self, oracle: Runtime, torch32: Runtime, images: NDArray[np.uint8], threshold: float
    ) -> None:
        self.threshold = threshold
        self.oracle = oracle.predict_all(images, BATCH, FAMILIARITY).astype(np.float64)
        found = torch32.predict_all(images, BATCH, FAMILIARITY).astype(np.float64)
        self.error = max(float(np.abs(found - self.oracle).max()), float(np.finfo(np.float32).eps))

    def compare(self, found: Answers, tolerance: float) -> tuple[dict[str, Any], list[str]]:
        """Figures and faults of an answer. An image may be refused by one alone within the allowed error."""
        ratio = float(np.abs(found - self.oracle).max()) / self.error
        other = (found < self.threshold) != (self.oracle < self.threshold)
        near = np.abs(self.oracle - self.threshold) <= tolerance * self.error
        faults = []
        if ratio > tolerance:
            faults.append(f"its familiarity errs {ratio:.3g} times as PyTorch's; allowed: {tolerance:g}")
        if (other & ~near).any():
            faults.append(f"{int((other & ~near).sum())} images are refused by one alone")
        numbers = {
            "familiarity_difference": short(ratio * self.error),
            "familiarity_ratio": short(ratio),
            "refusal_flips": int(other.sum()),
        }
        return numbers, faults
