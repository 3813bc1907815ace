"""Smaller models keep the contract and nearly the answers; what is worse in both respects is not offered."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from digits.data.datasets import Dataset
from digits.models.cnn import ConvolutionalNet
from digits.models.mlp import FeedForwardNet
from digits.networks.classifier import Classifier
from digits.networks.model import Model
from digits.onnx import small_models
from digits.onnx.contract import FAMILIARITY, INPUT
from digits.onnx.export import check, to_onnx
from digits.onnx.sections import Shrink
from tests.digits.onnx.bounded import any_familiarity

IMAGES = np.random.default_rng(3).integers(0, 256, (300, 1, 28, 28), dtype=np.uint8)
MODELS: dict[str, Model] = {
    "mlp": FeedForwardNet(hidden_sizes=[64, 32], dropout=0.2),
    "cnn": ConvolutionalNet(channels=[8, 16], dropout=0.2),
    "separable": ConvolutionalNet(channels=[8, 16], dropout=0.2, separable=True),
    "stem": ConvolutionalNet(channels=[8, 16], dropout=0.2, stem=4),
}
VALUES = Shrink(formats=["int8"], calibration_images=10, max_accuracy_drop=0.01)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> bytes:
    torch.manual_seed(1)
    classifier = Classifier(MODELS[request.param].build(), 0.1307, 0.3081, any_familiarity()).eval()
    return bytes(to_onnx(classifier, 20, {"mean": "0.1307", "safe_margin": "1.0"}).SerializeToString())


@pytest.mark.parametrize(("name", "largest"), [("float16", 0.01), ("int8", 0.3)])
def test_a_smaller_model_keeps_the_contract_and_nearly_the_answers(
    model: bytes, name: str, largest: float
) -> None:
    small = small_models.FORMATS[name](model, IMAGES)
    assert small == small_models.FORMATS[name](model, IMAGES), "the same model gives the same bytes"
    proto = onnx.load_from_string(small)
    check(proto)
    assert {p.key: p.value for p in proto.metadata_props} == {"mean": "0.1307"}
    types = {tensor.data_type for tensor in proto.graph.initializer}
    wanted = {"float16": onnx.TensorProto.FLOAT16, "int8": onnx.TensorProto.INT8}[name]
    assert wanted in types
    familiar, expected = (
        onnxruntime.InferenceSession(each).run([FAMILIARITY], {INPUT: IMAGES})[0] for each in (small, model)
    )
    np.testing.assert_allclose(familiar, expected, atol=1e-6, err_msg="its threshold is that of float32")
    some = small_models.Labelled(IMAGES, np.zeros(len(IMAGES), int))
    facts = small_models.compare(name, small, model, some, some)
    assert 0 < facts["largest_difference"] < largest
    assert facts["bytes"] == len(small)
    assert set(facts["speed_by_batch_size"]) == {"1", "1000"}
    assert all(speed > 0 for speed in facts["speed_by_batch_size"].values())


def test_no_two_products_of_int8_are_too_large_for_16_bits(model: bytes) -> None:
    """In which some processors add them, and saturate."""
    tensors = onnx.load_from_string(small_models.int8(model, IMAGES)).graph.initializer
    weights = [onnx.numpy_helper.to_array(t).astype(int) for t in tensors if t.name.endswith("_quantized")]
    weights = [weight for weight in weights if weight.ndim > 1]  # the others are biases
    assert weights
    for weight in weights:
        assert np.abs(weight).max() > 32, "no more bits are given up"
        assert 2 * 255 * np.abs(weight).max() <= np.iinfo(np.int16).max


def test_a_scale_for_every_channel(model: bytes) -> None:
    proto = onnx.load_from_string(small_models.int8(model, IMAGES))
    scales = [t for t in proto.graph.initializer if t.name.endswith("_scale") and t.dims and t.dims[0] > 1]
    assert scales


FACTS: dict[str, Any] = {
    "bytes": 50,
    "bytes_float32": 100,
    "accuracy": 0.95,
    "accuracy_float32": 0.95,
    "largest_difference": 0.1,
    "set_aside_accuracy": 0.95,
    "set_aside_accuracy_float32": 0.95,
    "set_aside_finite": True,
    "speed_by_batch_size": {"1": 1.2, "1000": 0.9},
    "bound": {"part_of_bound": 0.9},
}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({}, ""),
        ({"bytes": 120}, ""),  # larger, and faster for some batch
        ({"speed_by_batch_size": {"1": 0.5, "1000": 0.5}}, ""),  # slower, and smaller
        (
            {"bytes": 120, "speed_by_batch_size": {"1": 0.9, "1000": 0.9}},
            "it is neither smaller nor faster",
        ),
        ({"set_aside_accuracy": 0.93}, "it loses more than 0.01 of accuracy"),
        ({"accuracy": 0.0, "class_flips": 10_000}, ""),  # on the test images, by which nothing is chosen
        ({"set_aside_finite": False}, "its answers are not finite"),
        ({"bound": None}, ""),
        (
            {"bound": {"part_of_bound": 1.1}},
            "onnxruntime does not compute what it says on this processor: its error exceeds the bound",
        ),
    ],
)
def test_what_is_offered(other: dict[str, Any], reason: str) -> None:
    assert small_models.verdict(FACTS | other, VALUES) == reason


def numbered(images: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return images.reshape(-1, 2).copy().view(np.uint16).ravel()


def test_ranges_and_choices_have_images_of_their_own() -> None:
    numbers = np.arange(500, dtype=np.uint16)
    images = numbers.view(np.uint8).reshape(500, 2, 1)
    training = Dataset(images, (numbers % 10).astype(np.uint8))
    calibration, judged = small_models.set_aside(training, 100)
    assert (len(calibration), len(judged.images)) == (100, 400)
    calibrated, chosen = map(numbered, (calibration, judged.images))
    assert not set(calibrated) & set(chosen)
    assert (judged.labels == chosen % 10).all()
