"""Every runtime on a small model of each kind. One that is not installed skips its tests, and says so."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from digits import runtimes
from digits.common.choices import names
from digits.models.cnn import ConvolutionalNet
from digits.models.mlp import FeedForwardNet
from digits.networks.classifier import Classifier
from digits.networks.model import Model as Network
from digits.onnx.answers import ParityError
from digits.onnx.certificate import Missing, certificate, check, compare_all
from digits.onnx.certificate_table import line, table
from digits.onnx.contract import FAMILIARITY, OUTPUT
from digits.onnx.export import to_onnx
from digits.onnx.parity import Comparison, Reference
from digits.onnx.proven import Proven
from digits.onnx.runtime import Model, RuntimeUnavailableError, find
from digits.onnx.sections import RUNTIMES, Verify
from digits.runtimes.pytorch_float32 import PyTorchFloat32
from digits.runtimes.pytorch_float64 import PyTorchFloat64
from tests.digits.onnx.bounded import any_familiarity
from tests.project import ROOT

IMAGES = np.random.default_rng(1).integers(0, 256, (150, 1, 28, 28), dtype=np.uint8)
NETWORKS: dict[str, Network] = {
    "mlp": FeedForwardNet(hidden_sizes=[32], dropout=0.2),
    "cnn": ConvolutionalNet(channels=[8, 16], dropout=0.2),
}
OF_ONNX = [name for name in RUNTIMES if not name.startswith("pytorch") and name != "onnxruntime_cuda"]


# Where what is tested is the same for each kind.
ONE_NETWORK = pytest.mark.parametrize("model", ["mlp"], indirect=True)


def values(**changes: Any) -> Verify:
    known = {"runtimes": ["onnxruntime_cpu"], "batch_sizes": [7, 150], "optimizations": ["enabled"]}
    return Verify.model_validate({**known, "tolerance": 4.0, "near_ties": 0, "proven": 0.0, **changes})


@pytest.fixture(scope="module", params=NETWORKS)
def model(request: pytest.FixtureRequest) -> Model:
    torch.manual_seed(1)
    classifier = Classifier(NETWORKS[request.param].build(), 0.1307, 0.3081, any_familiarity()).eval()
    return Model(to_onnx(classifier, 20, {}).SerializeToString(), classifier)


@pytest.fixture(scope="module")
def reference(model: Model) -> Reference:
    oracle = PyTorchFloat64(model)
    labels = oracle.predict_all(IMAGES, 150).argmax(axis=1)
    threshold = float(np.median(oracle.predict_all(IMAGES, 150, FAMILIARITY)))
    return Reference(
        oracle,
        PyTorchFloat32(model),
        IMAGES,
        labels,
        proven=Proven(model, IMAGES),
        familiarity_threshold=threshold,
    )


def results_of(name: str, model: Model, reference: Reference) -> list[Comparison]:
    found = list(compare_all([name], model, reference, values(optimizations=["disabled", "enabled"])))
    if isinstance(found[0], Missing):
        pytest.skip(found[0].reason)
    return [result for result in found if isinstance(result, Comparison)]


def marked(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.gpu) if name == "onnxruntime_cuda" else name


@pytest.mark.parametrize("name", [marked(name) for name in RUNTIMES])
def test_it_computes_what_pytorch_computes(name: str, model: Model, reference: Reference) -> None:
    found = results_of(name, model, reference)
    assert [(c.optimization, c.batch_size) for c in found] == [
        (level, size) for level in find(name).levels for size in (7, 150)
    ]
    for comparison in found:
        assert comparison.faults == []
        assert comparison.accuracy == 1.0
        assert comparison.largest_difference is not None
        assert comparison.largest_difference < 1e-5
        assert comparison.version
        assert comparison.provider
    proof = certificate(reference, found, 4.0)
    check(proof)
    assert f"| {found[0].runtime}" in table(proof)


@pytest.mark.parametrize("name", ["onnxruntime_cpu", "openvino"])
def test_one_that_computes_all_outputs_does_so_once_for_each_batch(
    name: str, model: Model, reference: Reference
) -> None:
    chosen, batches = find(name), []

    class Counting(chosen):  # type: ignore[misc, valid-type]
        def predict(self, images: Any, output: str = OUTPUT) -> Any:
            batches.append(len(images))
            return super().predict(images, output)

        def values(self, images: Any, names: Any) -> Any:
            batches.append(len(images))
            return super().values(images, names)

    try:
        runtime = Counting(model, chosen.levels[-1])
    except RuntimeUnavailableError as reason:
        pytest.skip(str(reason))
    found = reference.compare(runtime, "none", 64, 4.0)
    assert batches == [64, 64, 22]
    assert found.faults == []
    assert found.familiarity_difference is not None


def broken(model: Model, change: str) -> Model:
    proto = onnx.load_from_string(model.onnx)
    if change == "output name":
        proto.graph.output[0].name = proto.graph.node[-1].output[0] = "scores"
    elif change == "output type":
        proto.graph.node[-1].output[0] = "inner"
        cast = onnx.helper.make_node("Cast", ["inner"], ["log_probabilities"], to=onnx.TensorProto.DOUBLE)
        proto.graph.node.append(cast)
        proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    else:  # one answer for the whole batch
        proto.graph.node[-1].output[0] = "inner"
        axes = onnx.numpy_helper.from_array(np.array([0]), "axes")
        proto.graph.initializer.append(axes)
        mean = onnx.helper.make_node("ReduceMean", ["inner", "axes"], ["log_probabilities"], keepdims=0)
        proto.graph.node.append(mean)
        proto.graph.output[0].type.tensor_type.shape.dim.pop(0)
    return Model(proto.SerializeToString(), model.classifier)


@ONE_NETWORK
@pytest.mark.parametrize("change", ["output name", "output type", "batch axis"])
@pytest.mark.parametrize("name", OF_ONNX)
def test_a_model_that_breaks_the_contract_fails(
    name: str, change: str, model: Model, reference: Reference
) -> None:
    found = results_of(name, broken(model, change), reference)
    assert found
    assert all(comparison.faults for comparison in found)
    with pytest.raises(ParityError, match=found[0].runtime):
        check(certificate(reference, found, 4.0))


@ONE_NETWORK
@pytest.mark.parametrize("name", OF_ONNX)
def test_a_file_that_is_no_model_is_one_readable_fault(name: str, model: Model, reference: Reference) -> None:
    found = results_of(name, Model(b"nonsense", model.classifier), reference)
    assert all(len(comparison.faults) == 1 for comparison in found)
    assert all("\n" not in line(comparison) for comparison in found)
    assert certificate(reference, found, 4.0)["passed"] is False


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_without_a_gpu_is_missing_and_never_the_cpu(model: Model, reference: Reference) -> None:
    found = list(compare_all(["onnxruntime_cuda", "onnxruntime_cpu"], model, reference, values()))
    assert found[0] == Missing("onnxruntime_cuda", "there is no NVIDIA GPU here", no_device=True)
    proof = certificate(reference, found, 4.0)
    check(proof)
    assert "missing: there is no NVIDIA GPU here" in table(proof)
    alone = certificate(reference, found[:1], 4.0)
    assert alone["passed"] is False
    with pytest.raises(ParityError, match="nothing was compared"):
        check(alone)


@pytest.mark.parametrize(("name", "module"), [("openvino", "openvino"), ("opencv", "cv2")])
def test_a_package_that_is_not_installed_is_missing(name: str, module: str) -> None:
    code = f"""
import sys
sys.modules[{module!r}] = None
from digits.onnx.runtime import Model, RuntimeUnavailableError, find
try:
    find({name!r})(Model(b"", None), "default")
except RuntimeUnavailableError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"pip install '.[{name}]'" in done.stdout
    assert done.stdout.count("\n") == 1


@ONE_NETWORK
@pytest.mark.parametrize("name", ["onnxruntime_node", "onnxruntime_web"])
def test_npm_packages_that_are_not_installed_are_missing(
    name: str, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from digits.runtimes import _javascript

    monkeypatch.setattr(_javascript, "FOLDER", tmp_path)
    with pytest.raises(RuntimeUnavailableError, match="install it: npm ci --ignore-scripts --prefix"):
        find(name)(model, "enabled")


@ONE_NETWORK
def test_a_missing_runtime_fails_beside_others_that_pass(model: Model, reference: Reference) -> None:
    found = [
        *compare_all(["onnxruntime_cpu"], model, reference, values()),
        Missing("openvino", "No module named 'openvino'", no_device=False),
    ]
    proof = certificate(reference, found, 4.0)
    assert "missing: No module named 'openvino'" in table(proof)
    with pytest.raises(ParityError, match="not every chosen runtime is here:\n  openvino: No module named"):
        check(proof)


TOY = """
from digits.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from tests.digits.onnx.bounded import any_familiarity
class Toy(OnnxRuntimeCpu):
    name = "toy"
"""


@ONE_NETWORK
def test_a_runtime_more_is_a_file_more(
    model: Model, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "_helper.py").write_text("")
    monkeypatch.setattr(runtimes, "__path__", [*runtimes.__path__, str(tmp_path)])
    assert set(names("digits.runtimes")) - set(RUNTIMES) == {"toy"}
    assert [result.runtime for result in compare_all(["toy"], model, reference, values())] == ["toy", "toy"]


def test_reading_the_parameters_loads_no_runtime() -> None:
    code = "import sys, digits.parameters.schema; print(*(n for n in sys.modules if 'digits.runtimes.' in n))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@ONE_NETWORK
def test_a_provider_that_is_silently_replaced_is_noticed(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = find("onnxruntime_cpu")
    monkeypatch.setattr(kind, "_providers_that_ran", lambda *_: {"SomeOtherProvider"})
    with pytest.raises(RuntimeUnavailableError, match=r"ran nodes on .'SomeOtherProvider'. instead of CPU"):
        kind(model, "enabled")


@ONE_NETWORK
def test_threads_that_a_browser_does_not_start_are_noticed(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without isolation from other origins onnxruntime-web falls back to one thread."""
    from digits.runtimes import _browser

    real = _browser._Handler.send_header

    def send_header(self: Any, name: str, value: str) -> None:
        if not name.startswith("Cross-Origin"):
            real(self, name, value)

    monkeypatch.setattr(_browser._Handler, "send_header", send_header)
    with pytest.raises(RuntimeUnavailableError) as error:
        find("onnxruntime_web_threads")(model, "enabled")
    if "threads" not in str(error.value):
        pytest.skip(str(error.value))
    assert str(error.value) == "onnxruntime-web runs on 1 threads instead of 4"


@pytest.mark.parametrize("name", ["onnxruntime_cpu", "openvino", "opencv"])
def test_a_runtime_computes_the_same_with_other_threads(model: Model, name: str) -> None:
    chosen = find(name)
    try:
        one = chosen(model, chosen.levels[-1])
    except RuntimeUnavailableError as reason:
        pytest.skip(str(reason))
    assert threads_of(one, name) == chosen.threads == 1
    expected = one.predict(IMAGES)
    two = type("Two", (chosen,), {"threads": 2})(model, chosen.levels[-1])
    cores = len(os.sched_getaffinity(0))  # OpenVINO takes no more threads than these
    assert threads_of(two, name) == (min(2, cores) if name == "openvino" else 2)
    np.testing.assert_allclose(two.predict(IMAGES), expected, atol=1e-4)


def threads_of(runtime: Any, name: str) -> int:
    if name == "onnxruntime_cpu":
        return int(runtime._session.get_session_options().intra_op_num_threads)
    if name == "openvino":
        return int(runtime._compiled.get_property("INFERENCE_NUM_THREADS"))
    import cv2

    return int(cv2.getNumThreads())
