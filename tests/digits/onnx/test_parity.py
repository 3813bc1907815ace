"""The proof, against runtimes that are right, slightly wrong, and wrong in each way it must notice."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.models.cnn import ConvolutionalNet
from digits.models.mlp import FeedForwardNet
from digits.networks.classifier import Classifier
from digits.networks.model import Model
from digits.onnx.answers import Answers, ParityError
from digits.onnx.certificate import certificate, check
from digits.onnx.contract import FAMILIARITY, OUTPUT
from digits.onnx.parity import Expected, Reference, margins
from digits.onnx.runtime import Model as Both
from digits.onnx.runtime import Runtime
from digits.runtimes.pytorch_float32 import PyTorchFloat32
from digits.runtimes.pytorch_float64 import PyTorchFloat64
from tests.digits.onnx.bounded import any_familiarity

IMAGES = np.random.default_rng(1).integers(0, 256, (150, 1, 28, 28), dtype=np.uint8)


class Altered(Runtime):
    """The oracle's answers in float32, altered by a function."""

    name, version, provider = "altered", "1", "CPU"

    def __init__(self, oracle: Runtime, alter: Callable[[Answers], Answers]) -> None:
        self._oracle, self._alter = oracle, alter

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> Answers:
        return self._alter(self._oracle.predict(images, output).astype(np.float32))


MODELS: list[Model] = [
    FeedForwardNet(hidden_sizes=[32], dropout=0.2),
    ConvolutionalNet(channels=[8, 16], dropout=0.2),
]


@pytest.fixture(scope="module", params=MODELS, ids=["mlp", "cnn"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(1)
    return Classifier(request.param.build(), 0.1307, 0.3081, any_familiarity()).eval()


@pytest.fixture(scope="module")
def oracle(classifier: Classifier) -> Runtime:
    return PyTorchFloat64(Both(b"", classifier))


@pytest.fixture(scope="module")
def reference(classifier: Classifier, oracle: Runtime) -> Reference:
    labels = oracle.predict_all(IMAGES, 1000).argmax(axis=1)
    labels[:15] = (labels[:15] + 1) % 10  # so that the accuracy is 0.9
    return Reference(oracle, PyTorchFloat32(Both(b"", classifier)), IMAGES, labels)


def test_the_numbers_are_what_they_are_called(reference: Reference, oracle: Runtime) -> None:
    def shift_one(answers: Answers) -> Answers:
        answers[3, 5] += 0.001
        return answers

    found = reference.compare(Altered(oracle, shift_one), "none", 1000, 4.0)
    assert found.largest_difference == pytest.approx(0.001, rel=1e-3)
    assert found.mean_difference == pytest.approx(0.001 / 1500, rel=0.3)
    assert found.error_ratio == pytest.approx(0.001 / reference.test.error, rel=1e-3)
    assert found.largest_excess == pytest.approx(0.001 - reference.test.errors[3, 5], rel=1e-3)
    assert found.smallest_margin == pytest.approx(reference.test.margins.min(), rel=1e-2)


def swap_best_two(answers: Answers) -> Answers:
    order = answers[0].argsort()
    answers[0, order[-1]], answers[0, order[-2]] = answers[0, order[-2]], answers[0, order[-1]]
    return answers


def with_nan(answers: Answers) -> Answers:
    answers[-1, 0] = np.nan
    return answers


FAULTS: dict[str, tuple[Callable[[Answers], Answers], str]] = {
    "an error too large": (lambda a: a + np.float32(1e-4), "its error is .* times that of PyTorch float32"),
    "a flipped class": (swap_best_two, "1 predicted classes differ"),
    "NaN": (with_nan, "or not finite"),
    "infinity": (lambda a: a * np.float32(np.inf), "or not finite"),
    "float64": (lambda a: a.astype(np.float64), "answers are float64"),
    "a lost image": (lambda a: a[1:], r"answers are float32 \[149, 10\]"),
    "a lost class": (lambda a: a[:, 1:], r"answers are float32 \[150, 9\]"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_fails_the_proof_and_is_named(reference: Reference, oracle: Runtime, fault: str) -> None:
    alter, message = FAULTS[fault]
    right = reference.compare(Altered(oracle, lambda a: a), "none", 1000, 4.0)
    wrong = reference.compare(Altered(oracle, alter), "none", 1000, 4.0)
    proof = certificate(reference, [right, wrong], 4.0)
    assert proof["passed"] is False
    with pytest.raises(ParityError, match=message) as error:
        check(proof)
    assert str(error.value).count("altered CPU, optimizations none, batch 1000") == 1
    json.dumps(proof, allow_nan=False)


def test_a_flip_that_keeps_the_accuracy_fails_as_well(reference: Reference, oracle: Runtime) -> None:
    """Image 0 is labelled wrongly: another wrong answer changes no accuracy."""
    found = reference.compare(Altered(oracle, swap_best_two), "none", 1000, 1e9)
    assert found.class_flips == 1
    assert "1 predicted classes differ" in found.faults


def test_nothing_compared_is_no_proof(reference: Reference) -> None:
    proof = certificate(reference, [], 4.0)
    assert proof["passed"] is False
    with pytest.raises(ParityError, match="nothing was compared"):
        check(proof)


def test_no_images_are_no_proof(oracle: Runtime) -> None:
    with pytest.raises(ParityError, match="there are no images"):
        Reference(oracle, oracle, IMAGES[:0], np.array([], int))


def test_a_model_that_is_not_finite_is_no_reference(oracle: Runtime) -> None:
    with pytest.raises(ParityError, match="not finite"):
        Reference(oracle, Altered(oracle, with_nan), IMAGES, np.zeros(150, int))


def test_pytorch_that_flips_itself_fails(oracle: Runtime) -> None:
    labels = oracle.predict_all(IMAGES, 1000).argmax(axis=1)
    reference = Reference(oracle, Altered(oracle, swap_best_two), IMAGES, labels)
    found = reference.compare(Altered(oracle, swap_best_two), "none", 1000, 4.0)
    proof = certificate(reference, [found], 4.0)
    assert proof["class_flips"] == 2
    with pytest.raises(ParityError):
        check(proof)


class ErringInFamiliarity(Altered):
    """Right in the first output."""

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> Answers:
        found = self._oracle.predict(images, output).astype(np.float32)
        return self._alter(found) if output == FAMILIARITY else found


def refused(oracle: Runtime, classifier: Classifier, share: float) -> tuple[Reference, Answers]:
    """A reference whose threshold refuses this share of the images, and what is familiar of them."""
    scores = oracle.predict_all(IMAGES, 1000, FAMILIARITY)
    torch32, labels = PyTorchFloat32(Both(b"", classifier)), np.zeros(150, int)
    low, high = np.sort(scores)[int(150 * share) - 1 :][:2]
    threshold = float(low + high) / 2
    return Reference(oracle, torch32, IMAGES, labels, familiarity_threshold=threshold), scores


def test_the_second_output_is_held_to_the_same_tolerance(oracle: Runtime, classifier: Classifier) -> None:
    reference, scores = refused(oracle, classifier, 0.1)
    right = reference.compare(ErringInFamiliarity(oracle, lambda a: a), "none", 64, 4.0)
    assert right.faults == []
    assert right.refusal_flips == 0
    assert reference.familiar is not None
    assert certificate(reference, [right], 4.0)["familiarity"]["refused"] == 15

    def shifted(answers: Answers) -> Answers:
        return (answers + np.float32(1e-3)).astype(np.float32)

    wrong = reference.compare(ErringInFamiliarity(oracle, shifted), "none", 1000, 4.0)
    assert wrong.class_flips == 0
    assert wrong.familiarity_difference == pytest.approx(1e-3, rel=0.01)
    assert "its familiarity errs" in wrong.faults[0]
    assert wrong.refusal_flips == int(
        ((scores < reference.familiar.threshold) != (scores + 1e-3 < reference.familiar.threshold)).sum()
    )


def test_an_image_that_one_alone_refuses_is_a_fault(oracle: Runtime, classifier: Classifier) -> None:
    reference, scores = refused(oracle, classifier, 0.1)
    first = int(scores.argmin())

    def accepting(answers: Answers) -> Answers:
        answers[first] = 1.0
        return answers

    found = reference.compare(ErringInFamiliarity(oracle, accepting), "none", 1000, 1e3)
    assert found.refusal_flips == 1
    assert "1 images are refused by one alone" in found.faults


def test_the_report_explains_every_field(reference: Reference, oracle: Runtime) -> None:
    found = reference.compare(Altered(oracle, lambda a: a), "none", 7, 4.0)
    proof = certificate(reference, [found], 4.0)
    explanation = " ".join(proof["explanation"])
    plain = {"passed", "images", "accuracy_torch", "accuracy_runtime", "configurations", "explanation"}
    plain |= {"runtime", "version", "optimization", "batch_size", "faults"}
    fields: set[str] = {*proof, *proof["configurations"][0]}
    assert [field for field in sorted(fields - plain) if field not in explanation] == []


def test_images_of_the_last_batch_are_not_lost(oracle: Runtime) -> None:
    sizes: list[int] = []

    class Counting(Altered):
        def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> Answers:
            sizes.append(len(images))
            return super().predict(images, output)

    whole = oracle.predict_all(IMAGES, 1000)
    parts = Counting(oracle, lambda a: a).predict_all(IMAGES, 64)
    assert sizes == [64, 64, 22]
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_margin_is_between_the_two_largest() -> None:
    answers = np.array([[0.0, 5.0, 4.0], [1.0, 0.0, 0.75]])
    assert margins(answers).tolist() == [1.0, 0.25]


def test_flips_on_near_ties_are_counted_and_explained_by_the_error(oracle: Runtime) -> None:
    """Image 1 is made a tie by an alteration of the oracle, and flips; image 0 flips without an excuse."""

    def tie(answers: Answers) -> Answers:
        order = answers[1].argsort()
        answers[1, order[-2]] = answers[1, order[-1]] - 1e-7
        return answers

    class Tied(Altered):
        dtype = np.float64

        def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> Answers:
            return self._alter(self._oracle.predict(images, output))

    tied, labels = Tied(oracle, tie), oracle.predict_all(IMAGES, 1000).argmax(axis=1)
    reference = Reference(oracle, Altered(oracle, lambda a: a), IMAGES, labels)
    reference.near_ties = Expected(tied, Altered(oracle, tie), IMAGES)

    def flip(row: int) -> Callable[[Answers], Answers]:
        def altered(answers: Answers) -> Answers:
            order = answers[row].argsort()
            answers[row, order[-2:]] = answers[row, order[-2:][::-1]]
            return answers

        return altered

    explained, faults = reference._on_near_ties(reference.near_ties, flip(1)(tied.predict(IMAGES)), 4.0)
    assert explained["near_tie_flips"] == 1
    assert explained["near_tie_flipped_margin"] == pytest.approx(1e-7, rel=1e-3)
    assert faults == []
    _, faults = reference._on_near_ties(reference.near_ties, flip(0)(tied.predict(IMAGES)), 1.0)
    assert "1 flips on near-ties that no allowed error explains" in faults
