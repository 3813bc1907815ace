"""What runtimes answer, and what is expected of the second output."""

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
    runtime: Runtime,
    images: NDArray[np.uint8],
    shape: tuple[int, ...],
    batch_size: int,
    output: str = OUTPUT,
) -> Answers:
    """What a runtime says of all images.

    Raises:
        ParityError: it fails, or answers with another type or shape, or with what is no number.
    """
    try:
        found = runtime.predict_all(images, batch_size, output)
    except Exception as error:  # the runtimes' errors share no narrower class
        raise ParityError(f"it fails: {' '.join(str(error).split())}") from error
    if found.dtype != runtime.dtype or found.shape != shape or not np.isfinite(found).all():
        what = "answers" if output == OUTPUT else f"answers of {output}"
        raise ParityError(f"{what} are {found.dtype} {list(found.shape)}, or not finite")
    return found


class Familiar:
    """What is expected of the second output for `images`, and which of them it refuses."""

    def __init__(
        self, oracle: Runtime, torch32: Runtime, images: NDArray[np.uint8], threshold: float
    ) -> None:
        self.images, self.threshold = images, threshold
        self.oracle = oracle.predict_all(images, BATCH, FAMILIARITY).astype(np.float64)
        found = torch32.predict_all(images, BATCH, FAMILIARITY).astype(np.float64)
        self.error = max(float(np.abs(found - self.oracle).max()), float(np.finfo(np.float32).eps))

    def compare(
        self, runtime: Runtime, batch_size: int, tolerance: float
    ) -> tuple[dict[str, Any], list[str]]:
        """Figures and faults of a runtime. An image may be refused by one alone within the allowed error."""
        found = answers_of(runtime, self.images, self.oracle.shape, batch_size, FAMILIARITY)
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
