"""How far a runtime is from what PyTorch computes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.onnx import deviation
from digits.onnx.answers import BATCH, Answers, Familiar, ParityError, answers_of
from digits.onnx.contract import FAMILIARITY, OUTPUT
from digits.onnx.figures import short
from digits.onnx.proven import Proven
from digits.onnx.runtime import Runtime


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
    part_of_bound: float | None = None
    deviation: dict[str, Any] | None = None
    near_tie_difference: float | None = None
    near_tie_flips: int | None = None
    near_tie_flipped_margin: float | None = None
    familiarity_difference: float | None = None
    familiarity_ratio: float | None = None
    refusal_flips: int | None = None


class Expected:
    """PyTorch's answers for `images` uint8 [n, 1, 28, 28]: the oracle's, and the errors of its float32."""

    def __init__(self, oracle: Runtime, torch32: Runtime, images: NDArray[np.uint8]) -> None:
        self.images = images
        self.oracle = oracle.predict_all(images, BATCH).astype(np.float64)
        answers = torch32.predict_all(images, BATCH)
        self.errors = np.abs(answers.astype(np.float64) - self.oracle)
        if not np.isfinite(self.errors).all():
            raise ParityError("PyTorch itself gives log-probabilities that are not finite")
        self.classes = self.oracle.argmax(axis=1)
        self.margins = margins(self.oracle)
        self.torch_classes = answers.argmax(axis=1)
        self.torch_flips = int((self.torch_classes != self.classes).sum())
        # PyTorch may by chance be exact on few images; float32 never promises better than its own spacing.
        self.error = max(float(self.errors.max()), float(np.finfo(np.float32).eps))


class Reference:
    """What is expected for the test images, and for the near-ties where there are any."""

    def __init__(
        self,
        oracle: Runtime,
        torch32: Runtime,
        images: NDArray[np.uint8],
        labels: NDArray[np.integer],
        near_ties: NDArray[np.uint8] | None = None,
        proven: Proven | None = None,
        familiarity_threshold: float | None = None,
    ) -> None:
        if not len(images):
            raise ParityError("there are no images, so nothing would be compared")
        self.test, self.labels = Expected(oracle, torch32, images), labels
        self.accuracy = float((self.test.torch_classes == labels).mean())
        self.proven = proven
        self.near_ties = None
        if near_ties is not None and len(near_ties):
            self.near_ties = Expected(oracle, torch32, near_ties)
        self.familiar = None
        if familiarity_threshold is not None:
            self.familiar = Familiar(oracle, torch32, images, familiarity_threshold)

    def compare(self, runtime: Runtime, optimization: str, batch_size: int, tolerance: float) -> Comparison:
        """Run all images through `runtime`, `batch_size` at a time, and say how its answers differ."""
        facts: dict[str, Any] = {
            "runtime": runtime.name,
            "version": runtime.version,
            "provider": runtime.provider,
            "optimization": optimization,
            "batch_size": batch_size,
            "images": len(self.test.images),
        }
        try:
            shapes = {OUTPUT: self.test.oracle.shape}
            if self.familiar:
                shapes[FAMILIARITY] = self.familiar.oracle.shape
            found, *familiar = answers_of(runtime, self.test.images, shapes, batch_size)
            on_near_ties = None
            if ties := self.near_ties:
                shapes = {OUTPUT: ties.oracle.shape}
                (on_near_ties,) = answers_of(runtime, ties.images, shapes, batch_size)
        except ParityError as error:
            flips = len(self.test.images)
            return Comparison(**facts, class_flips=flips, accuracy=0.0, faults=[str(error)])
        numbers, faults = self._on_test_images(found, tolerance)
        if self.familiar:
            more, more_faults = self.familiar.compare(familiar[0], tolerance)
            numbers, faults = numbers | more, faults + more_faults
        if self.proven:
            more, more_faults = self._of_bound(self.proven, found, runtime, optimization)
            numbers, faults = numbers | more, faults + more_faults
        if self.near_ties and on_near_ties is not None:
            more, more_faults = self._on_near_ties(self.near_ties, on_near_ties, tolerance)
            numbers, faults = numbers | more, faults + more_faults
        return Comparison(**facts, **numbers, faults=faults)

    def _on_test_images(self, found: Answers, tolerance: float) -> tuple[dict[str, Any], list[str]]:
        differences = np.abs(found.astype(np.float64) - self.test.oracle)
        classes = found.argmax(axis=1)
        ratio = float(differences.max()) / self.test.error
        flips = int((classes != self.test.classes).sum())
        accuracy = float((classes == self.labels).mean())
        faults = []
        if ratio > tolerance:
            faults.append(f"its error is {ratio:.3g} times that of PyTorch float32; allowed: {tolerance:g}")
        if flips:
            faults.append(f"{flips} predicted classes differ")
        if accuracy != self.accuracy:
            faults.append(f"its accuracy is {accuracy}, that of PyTorch {self.accuracy}")
        numbers = {
            "largest_difference": short(differences.max()),
            "mean_difference": short(differences.mean()),
            "largest_excess": short((differences - self.test.errors).max()),
            "error_ratio": short(ratio),
            "class_flips": flips,
            "smallest_margin": short(margins(found).min()),
            "accuracy": accuracy,
        }
        return numbers, faults

    def _of_bound(
        self, proven: Proven, found: Answers, runtime: Runtime, optimization: str
    ) -> tuple[dict[str, Any], list[str]]:
        part, image, pair = proven.largest(found)
        numbers: dict[str, Any] = {"part_of_bound": short(part)}
        if part <= 1:
            return numbers, []
        fault = (
            f"its error on image {image}, classes {pair[0]} and {pair[1]}, is {part:.3g} times the most that "
            "IEEE float32 allows"
        )
        try:
            where = deviation.first(type(runtime), optimization, proven.model, self.test.images[image, None])
        except Exception as error:  # the runtimes' errors share no narrower class
            return numbers, [f"{fault}; where is not known: {' '.join(str(error).split())}"]
        if where is None:
            return numbers, [f"{fault}; no layer leaves its bound where all put out what they answer"]
        where = where._replace(image=image)
        return numbers | {"deviation": where._asdict()}, [f"{fault}; {where}"]

    def _on_near_ties(
        self, ties: Expected, found: Answers, tolerance: float
    ) -> tuple[dict[str, Any], list[str]]:
        differences = np.abs(found.astype(np.float64) - ties.oracle)
        ratio = float(differences.max()) / max(self.test.error, ties.error)
        flipped = ties.margins[found.argmax(axis=1) != ties.classes]
        # Each of two digits may be off by the allowed error, towards the other.
        unexplained = int((flipped > 2 * tolerance * max(self.test.error, ties.error)).sum())
        faults = []
        if ratio > tolerance:
            faults.append(f"its error on near-ties is {ratio:.3g} times PyTorch's; allowed: {tolerance:g}")
        if unexplained:
            faults.append(f"{unexplained} flips on near-ties that no allowed error explains")
        numbers = {
            "near_tie_difference": short(differences.max()),
            "near_tie_flips": len(flipped),
            "near_tie_flipped_margin": short(flipped.max()) if len(flipped) else None,
        }
        return numbers, faults


def margins(log_probabilities: Answers) -> Answers:
    """The difference between the two largest of each row: what an error must exceed to flip a class."""
    top = np.partition(log_probabilities, -2, axis=1)[:, -2:]
    difference: Answers = top[:, 1] - top[:, 0]
    return difference
