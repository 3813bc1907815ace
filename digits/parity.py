"""The proof that a runtime computes what PyTorch computes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DigitsError
from digits.runtimes import Runtime

EXPLANATION = [
    "Every number compares log-probabilities (natural logarithm) of all raw images, ten for each.",
    "The oracle is PyTorch evaluating the same weights in float64. Its own error is about nine digits",
    "smaller than that of float32, so what differs from the oracle is the error of the other side.",
    "torch_float32_error: the largest error of PyTorch's own float32, the yardstick.",
    "largest_difference, mean_difference: the runtime's error, as absolute differences from the oracle.",
    "largest_excess: the most by which the runtime's error on a number exceeds PyTorch's on the same one.",
    "error_ratio: largest_difference / torch_float32_error; a configuration fails above `tolerance`.",
    "class_flips: images whose predicted digit is not the oracle's (at the top: PyTorch's flips, too);",
    "fails above 0.",
    "smallest_margin: the least distance between the two most probable digits; at the top, the oracle's.",
    "accuracy: recomputed from the runtime's own answers; fails unless equal to PyTorch's.",
    "provider: what really ran, read from onnxruntime's profile of a run.",
]


class ParityError(DigitsError):
    """A runtime disagrees with PyTorch, or nothing was compared."""


@dataclass(frozen=True)
class Comparison:
    """One configuration of a runtime against the oracle."""

    runtime: str
    version: str
    provider: str
    optimization: str
    batch_size: int
    images: int
    class_flips: int
    accuracy: float
    faults: list[str]
    largest_difference: float | None = None
    mean_difference: float | None = None
    largest_excess: float | None = None
    error_ratio: float | None = None
    smallest_margin: float | None = None


class Reference:
    """PyTorch's answers for `images` uint8 [n, 1, 28, 28]: the float64 oracle and the float32 yardstick."""

    def __init__(
        self, oracle: Runtime, torch32: Runtime, images: NDArray[np.uint8], labels: NDArray[np.integer]
    ) -> None:
        if not len(images):
            raise ParityError("there are no images, so nothing would be compared")
        self.images, self.labels = images, labels
        self.oracle = predict(oracle, images, 1000).astype(np.float64)
        self.errors = np.abs(predict(torch32, images, 1000).astype(np.float64) - self.oracle)
        self.classes = self.oracle.argmax(axis=1)
        if not np.isfinite(self.errors).all():
            raise ParityError("PyTorch itself gives log-probabilities that are not finite")
        torch32_classes = predict(torch32, images, 1000).argmax(axis=1)
        self.torch_flips = int((torch32_classes != self.classes).sum())
        self.accuracy = float((torch32_classes == labels).mean())
        # PyTorch may by chance be exact on few images; float32 never promises better than its own spacing.
        self.error = max(float(self.errors.max()), float(np.finfo(np.float32).eps))

    def compare(self, runtime: Runtime, optimization: str, batch_size: int, tolerance: float) -> Comparison:
        """Run all images through `runtime`, `batch_size` at a time, and say how its answers differ."""
        found = predict(runtime, self.images, batch_size)
        facts: dict[str, Any] = {
            "runtime": runtime.name,
            "version": runtime.version,
            "provider": runtime.provider,
            "optimization": optimization,
            "batch_size": batch_size,
            "images": len(found),
        }
        if found.dtype != np.float32 or found.shape != self.oracle.shape or not np.isfinite(found).all():
            fault = f"answers are {found.dtype} {list(found.shape)}, or not finite"
            return Comparison(**facts, class_flips=len(self.images), accuracy=0.0, faults=[fault])
        differences = np.abs(found.astype(np.float64) - self.oracle)
        classes = found.argmax(axis=1)
        ratio = float(differences.max()) / self.error
        flips = int((classes != self.classes).sum())
        accuracy = float((classes == self.labels).mean())
        faults = []
        if ratio > tolerance:
            faults.append(f"its error is {ratio:.3g} times that of PyTorch float32; allowed: {tolerance:g}")
        if flips:
            faults.append(f"{flips} predicted digits differ")
        if accuracy != self.accuracy:
            faults.append(f"its accuracy is {accuracy}, that of PyTorch {self.accuracy}")
        return Comparison(
            **facts,
            largest_difference=_short(differences.max()),
            mean_difference=_short(differences.mean()),
            largest_excess=_short((differences - self.errors).max()),
            error_ratio=_short(ratio),
            class_flips=flips,
            smallest_margin=_short(smallest_margin(found)),
            accuracy=accuracy,
            faults=faults,
        )


def predict(runtime: Runtime, images: NDArray[np.uint8], batch_size: int) -> NDArray[np.floating]:
    """All answers of a runtime, [n, 10]; the last batch may be smaller."""
    return np.concatenate(
        [runtime.predict(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    )


def smallest_margin(log_probabilities: NDArray[np.floating]) -> float:
    """The least difference between the two largest of a row: what an error must exceed to flip a class."""
    top = np.partition(log_probabilities, -2, axis=1)[:, -2:]
    return float((top[:, 1] - top[:, 0]).min())


def report(reference: Reference, comparisons: Sequence[Comparison], tolerance: float) -> dict[str, Any]:
    """The whole proof, ready for JSON."""
    flips = reference.torch_flips + sum(c.class_flips for c in comparisons)
    return {
        "passed": bool(comparisons) and not flips and not any(c.faults for c in comparisons),
        "images": len(reference.images),
        "class_flips": flips,
        "accuracy_torch": reference.accuracy,
        "accuracy_runtime": min((c.accuracy for c in comparisons), default=0.0),
        "torch_float32_error": _short(reference.error),
        "largest_difference": max((c.largest_difference or 0.0 for c in comparisons), default=None),
        "tolerance": tolerance,
        "smallest_margin": _short(smallest_margin(reference.oracle)),
        "configurations": [asdict(c) for c in comparisons],
        "explanation": EXPLANATION,
    }


def check(proof: dict[str, Any]) -> None:
    """Raises ParityError naming every configuration that failed, and how; also when none was compared."""
    failed = [
        f"  {c['runtime']} {c['provider']}, optimizations {c['optimization']}, batch {c['batch_size']}: "
        + "; ".join(c["faults"])
        for c in proof["configurations"]
        if c["faults"]
    ]
    if failed:
        raise ParityError("the ONNX model does not compute what PyTorch computes:\n" + "\n".join(failed))
    if not proof["configurations"]:
        raise ParityError("nothing was compared: verify.providers names none that is here")
    if not proof["passed"]:
        raise ParityError(
            "PyTorch float32 predicts other digits than PyTorch float64: the model is at its limits"
        )


def _short(value: float) -> float:
    return float(f"{value:.6g}")
