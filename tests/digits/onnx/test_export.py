import json
from collections.abc import Callable

import numpy as np
import onnx
import onnx.reference
import pytest
import torch

from digits.common.about import DIGITS
from digits.models.cnn import ConvolutionalNet
from digits.models.mlp import FeedForwardNet
from digits.networks.classifier import Classifier
from digits.networks.model import Model
from digits.onnx.all_images import safe_margin
from digits.onnx.bound import bounds
from digits.onnx.export import ExportError, check, classes, read, to_onnx
from digits.onnx.proven import Proven
from digits.onnx.runtime import Model as Both
from digits.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from tests.digits.onnx.bounded import any_familiarity

METADATA = {"mean": "0.1307", "classes": json.dumps(DIGITS)}


MODELS: dict[str, Model] = {
    "mlp": FeedForwardNet(hidden_sizes=[5], dropout=0.2),
    "cnn": ConvolutionalNet(channels=[4, 6], dropout=0.2),
    "separable": ConvolutionalNet(channels=[4, 6], dropout=0.2, separable=True),
    "stem": ConvolutionalNet(channels=[4, 6], dropout=0.2, stem=4),
}


def make_classifier(name: str) -> Classifier:
    torch.manual_seed(1)
    net = MODELS[name].build()
    return Classifier(net, 0.1307, 0.3081, any_familiarity()).eval()


@pytest.fixture(scope="module", params=MODELS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def exported(kind: str) -> bytes:
    return bytes(to_onnx(make_classifier(kind), 20, METADATA).SerializeToString(deterministic=True))


@pytest.fixture
def model(exported: bytes) -> onnx.ModelProto:
    return onnx.load_from_string(exported)


def test_the_graph_computes_what_the_classifier_computes(kind: str, model: onnx.ModelProto) -> None:
    images = np.random.default_rng(1).integers(0, 256, (9, 1, 28, 28), dtype=np.uint8)
    found = onnx.reference.ReferenceEvaluator(model).run(None, {"image": images})
    classifier = make_classifier(kind)
    with torch.no_grad():
        expected = [compute(torch.from_numpy(images)) for compute in (classifier, classifier.familiar)]
    for output, values in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(output), values.numpy(), rtol=0, atol=1e-5)


def test_without_familiarity_there_is_one_output() -> None:
    net = MODELS["mlp"].build()
    model = to_onnx(Classifier(net, 0.1307, 0.3081), 20, METADATA)
    assert [output.name for output in model.graph.output] == ["log_probabilities"]


def test_the_same_classifier_gives_the_same_bytes(kind: str, exported: bytes) -> None:
    assert to_onnx(make_classifier(kind), 20, METADATA).SerializeToString(deterministic=True) == exported


OPSETS = [*(("mlp", opset) for opset in range(15, 24)), *(("cnn", opset) for opset in (15, 17, 18, 20, 23))]


@pytest.mark.parametrize(("name", "opset"), OPSETS)
def test_the_opset_is_the_one_asked_for(name: str, opset: int) -> None:
    """Older ones in the form of their time, with the same answers, and with a bound that is proven."""
    classifier = make_classifier(name)
    model = to_onnx(classifier, opset, METADATA)
    assert model.opset_import[0].version == opset
    assert model.ir_version <= (8 if opset < 18 else 13)
    assert {entry.key: entry.value for entry in model.metadata_props} == METADATA
    both = Both(model.SerializeToString(deterministic=True), classifier)
    if opset == 15:
        assert to_onnx(classifier, opset, METADATA).SerializeToString(deterministic=True) == both.onnx
    images = np.random.default_rng(1).integers(0, 256, (9, 1, 28, 28), dtype=np.uint8)
    proven = Proven(both, images)
    assert not proven.fault
    for level in ("disabled", "enabled"):
        assert 0 < proven.largest(OnnxRuntimeCpu(both, level).predict(images)).part < 1


def test_metadata_is_inside_and_no_path_is(model: onnx.ModelProto, exported: bytes) -> None:
    assert {entry.key: entry.value for entry in model.metadata_props} == METADATA
    for trace in (b".py", b"site-packages", b"digits/", b"FeedForward", b"Convolution"):
        assert trace not in exported


def test_dropout_is_gone(model: onnx.ModelProto) -> None:
    assert "Dropout" not in {node.op_type for node in model.graph.node}
    assert "RandomUniform" not in {node.op_type for node in model.graph.node}


def fix_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 64


def float_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "logits"


def second_output(model: onnx.ModelProto) -> None:
    model.graph.output.add().CopyFrom(model.graph.output[0])


def external_data(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def custom_operator(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="com.example", version=1)


def dropout(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "Dropout"


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "Guess"


def missing_weight(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0]


@pytest.mark.parametrize(
    ("breach", "message"),
    [
        (fix_batch, r"image has the shape \[64, 1, 28, 28\]"),
        (float_input, "image is FLOAT, not UINT8"),
        (
            rename_output,
            r"expected 'log_probabilities', .* found \['logits', 'familiarity'\]",
        ),
        (second_output, "expected 'log_probabilities', and 'familiarity' or nothing, found"),
        (external_data, "weights lie in a second file"),
        (custom_operator, "operators outside the ONNX standard"),
        (dropout, "it has a Dropout node"),
        (unknown_operator, "the ONNX checker says: .*Guess"),
        (missing_weight, "the ONNX checker says"),
    ],
)
def test_every_breach_of_the_contract_is_named(
    model: onnx.ModelProto, breach: Callable[[onnx.ModelProto], None], message: str
) -> None:
    check(model)
    breach(model)
    with pytest.raises(ExportError, match=message):
        check(model)


@pytest.mark.parametrize("place", ["attribute", "subgraph", "sparse"])
def test_weights_in_a_second_file_are_found_wherever_they_are_named(
    model: onnx.ModelProto, place: str
) -> None:
    outside = onnx.helper.make_tensor("outside", onnx.TensorProto.FLOAT, [1], [0.0])
    outside.ClearField("float_data")
    outside.data_location = onnx.TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    node = model.graph.node[0]
    if place == "attribute":
        node.attribute.append(onnx.helper.make_attribute("value", outside))
    elif place == "subgraph":
        inner = onnx.helper.make_graph([], "inner", [], [], [outside])
        node.attribute.append(onnx.helper.make_attribute("then_branch", inner))
    else:
        model.graph.sparse_initializer.add().values.CopyFrom(outside)
    with pytest.raises(ExportError, match="weights lie in a second file"):
        check(model)


def test_what_is_no_model_is_one_line() -> None:
    for content in (b"nonsense", b"\xff" * 40):
        with pytest.raises(ExportError, match=r"this is no ONNX model: .*; run the export stage"):
            read(content)


def test_classes_may_be_any_number_and_have_names() -> None:
    names = ["circle", "cross", "triangle"]
    classifier = Classifier(MODELS["mlp"].build(3), 0.1307, 0.3081).eval()
    model = to_onnx(classifier, 20, METADATA | {"classes": json.dumps(names)})
    assert classes(model) == names
    with pytest.raises(ExportError, match=r"has the shape \['batch', 3\], not \['batch', 10\]"):
        to_onnx(classifier, 20, {})
    for broken in ("[", '"circle"', "[1]", "[" * 100_000):
        with pytest.raises(ExportError, match="its classes cannot be read"):
            to_onnx(classifier, 20, {"classes": broken})


@pytest.mark.parametrize("count", [2, 26])
def test_the_error_bound_holds_for_any_number_of_classes(count: int) -> None:
    for name in MODELS:
        torch.manual_seed(1)
        classifier = Classifier(MODELS[name].build(count), 0.1307, 0.3081).eval()
        images = np.random.default_rng(1).integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
        found = bounds(classifier, images)
        with torch.no_grad():  # of a difference, whether of logits or of log-probabilities
            error = classifier(torch.from_numpy(images)).double().numpy() - found.logits
        differences = np.abs(error[:, :, None] - error[:, None])
        assert found.differences.shape == (3, count, count)
        assert (differences <= found.differences).all()
        assert safe_margin(classifier) >= 2 * found.differences.max()
