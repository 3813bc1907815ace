"""The proof, against runtimes that are right, slightly wrong, and wrong in each way it must notice."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.classifier import Classifier
from digits.export import to_onnx
from digits.models import FeedForwardNet
from digits.parity import ParityError, Reference, check, predict, report, smallest_margin
from digits.runtimes import Runtime, RuntimeUnavailableError
from digits.runtimes.onnx_runtime import OnnxRuntime
from digits.runtimes.pytorch import PyTorch

Answers = NDArray[np.floating]
IMAGES = np.random.default_rng(1).integers(0, 256, (150, 1, 28, 28), dtype=np.uint8)


class Altered:
    """The oracle's answers in float32, altered by a function."""

    name, version, provider = "altered", "1", "CPU"

    def __init__(self, oracle: Runtime, alter: Callable[[Answers], Answers]) -> None:
        self._oracle, self._alter = oracle, alter

    def predict(self, images: NDArray[np.uint8]) -> Answers:
        return self._alter(self._oracle.predict(images).astype(np.float32))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(1)
    return Classifier(FeedForwardNet(hidden_sizes=[32], dropout=0.2).build(), 0.1307, 0.3081).eval()


@pytest.fixture(scope="module")
def oracle(classifier: Classifier) -> Runtime:
    return PyTorch(classifier, torch.float64)


@pytest.fixture(scope="module")
def reference(classifier: Classifier, oracle: Runtime) -> Reference:
    labels = predict(oracle, IMAGES, 1000).argmax(axis=1)
    labels[:15] = (labels[:15] + 1) % 10  # so that the accuracy is 0.9
    return Reference(oracle, PyTorch(classifier, torch.float32), IMAGES, labels)


@pytest.fixture(scope="module")
def exported(classifier: Classifier) -> bytes:
    return bytes(to_onnx(classifier, 20, {}).SerializeToString())


@pytest.mark.parametrize("optimization", ["disabled", "enabled"])
@pytest.mark.parametrize("batch_size", [1, 7, 150, 1000])
def test_onnxruntime_agrees(
    reference: Reference, exported: bytes, optimization: str, batch_size: int
) -> None:
    found = reference.compare(OnnxRuntime(exported, "cpu", optimization), optimization, batch_size, 4.0)
    assert found.faults == []
    assert found.class_flips == 0
    assert found.accuracy == reference.accuracy == 0.9
    assert found.provider == "CPUExecutionProvider"
    assert found.largest_difference is not None
    assert 0 < found.largest_difference < 1e-5
    check(report(reference, [found], 4.0))


def test_the_numbers_are_what_they_are_called(reference: Reference, oracle: Runtime) -> None:
    def shift_one(answers: Answers) -> Answers:
        answers[3, 5] += 0.001
        return answers

    found = reference.compare(Altered(oracle, shift_one), "none", 1000, 4.0)
    assert found.largest_difference == pytest.approx(0.001, rel=1e-3)
    assert found.mean_difference == pytest.approx(0.001 / 1500, rel=0.3)
    assert found.error_ratio == pytest.approx(0.001 / reference.error, rel=1e-3)
    assert found.largest_excess == pytest.approx(0.001 - reference.errors[3, 5], rel=1e-3)
    assert found.smallest_margin == pytest.approx(smallest_margin(reference.oracle), rel=1e-2)


def swap_best_two(answers: Answers) -> Answers:
    order = answers[0].argsort()
    answers[0, order[-1]], answers[0, order[-2]] = answers[0, order[-2]], answers[0, order[-1]]
    return answers


def with_nan(answers: Answers) -> Answers:
    answers[-1, 0] = np.nan
    return answers


FAULTS: dict[str, tuple[Callable[[Answers], Answers], str]] = {
    "an error too large": (lambda a: a + np.float32(1e-4), "its error is .* times that of PyTorch float32"),
    "a flipped class": (swap_best_two, "1 predicted digits differ"),
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
    proof = report(reference, [right, wrong], 4.0)
    assert proof["passed"] is False
    with pytest.raises(ParityError, match=message) as error:
        check(proof)
    assert str(error.value).count("altered CPU, optimizations none, batch 1000") == 1
    json.dumps(proof, allow_nan=False)


def test_a_flip_that_keeps_the_accuracy_fails_as_well(reference: Reference, oracle: Runtime) -> None:
    """Image 0 is labelled wrongly: another wrong answer changes no accuracy."""
    found = reference.compare(Altered(oracle, swap_best_two), "none", 1000, 1e9)
    assert found.class_flips == 1
    assert "1 predicted digits differ" in found.faults


def test_nothing_compared_is_no_proof(reference: Reference) -> None:
    proof = report(reference, [], 4.0)
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
    labels = predict(oracle, IMAGES, 1000).argmax(axis=1)
    reference = Reference(oracle, Altered(oracle, swap_best_two), IMAGES, labels)
    found = reference.compare(Altered(oracle, swap_best_two), "none", 1000, 4.0)
    proof = report(reference, [found], 4.0)
    assert proof["class_flips"] == 2
    with pytest.raises(ParityError):
        check(proof)


def test_the_report_explains_every_field(reference: Reference, oracle: Runtime) -> None:
    found = reference.compare(Altered(oracle, lambda a: a), "none", 7, 4.0)
    proof = report(reference, [found], 4.0)
    explanation = " ".join(proof["explanation"])
    plain = {"passed", "images", "accuracy_torch", "accuracy_runtime", "configurations", "explanation"}
    plain |= {"runtime", "version", "optimization", "batch_size", "faults"}
    fields: set[str] = {*proof, *proof["configurations"][0]}
    assert [field for field in sorted(fields - plain) if field not in explanation] == []


def test_images_of_the_last_batch_are_not_lost(oracle: Runtime) -> None:
    sizes: list[int] = []

    class Counting(Altered):
        def predict(self, images: NDArray[np.uint8]) -> Answers:
            sizes.append(len(images))
            return super().predict(images)

    whole = predict(oracle, IMAGES, 1000)
    parts = predict(Counting(oracle, lambda a: a), IMAGES, 64)
    assert sizes == [64, 64, 22]
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_margin_is_between_the_two_largest() -> None:
    answers = np.array([[0.0, 5.0, 4.0], [1.0, 0.0, 0.75]])
    assert smallest_margin(answers) == 0.25


def test_a_provider_that_is_silently_replaced_is_noticed(
    exported: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from digits.runtimes import onnx_runtime

    used = onnx_runtime._providers_that_ran(exported, "CPUExecutionProvider", "enabled")
    assert used == {"CPUExecutionProvider"}, "the profile tells"
    monkeypatch.setattr(onnx_runtime, "_providers_that_ran", lambda *_: {"SomeOtherProvider"})
    with pytest.raises(RuntimeUnavailableError, match=r"ran nodes on .'SomeOtherProvider'. instead of CPU"):
        OnnxRuntime(exported, "cpu", "enabled")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_without_a_gpu_is_an_error_and_never_the_cpu(exported: bytes) -> None:
    with pytest.raises(RuntimeUnavailableError, match="CUDAExecutionProvider"):
        OnnxRuntime(exported, "cuda", "enabled")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_onnxruntime_agrees_on_a_gpu(reference: Reference, exported: bytes) -> None:
    found = reference.compare(OnnxRuntime(exported, "cuda", "enabled"), "enabled", 64, 4.0)
    assert found.faults == []
    assert found.provider == "CUDAExecutionProvider"


def test_a_file_that_is_no_model_is_one_error() -> None:
    with pytest.raises(RuntimeUnavailableError, match="onnxruntime does not load the model"):
        OnnxRuntime(b"nonsense", "cpu", "enabled")
