"""The error bound of float16 models, against float16 as onnxruntime and others compute it."""

from functools import partial
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from digits.onnx import half
from digits.onnx.bound import Bounds
from digits.onnx.layers import UnknownNetworkError
from tests.digits.onnx import converted as small
from tests.digits.onnx import orders
from tests.digits.onnx.bounded import CLASSIFIERS, WHITE, differences, mlp, ratio, set_weights
from tests.digits.onnx.converted import (
    IMAGES,
    LEVELS,
    by_onnxruntime,
    by_reference,
    converted,
    in_half,
)

SUMS = {
    "forwards": orders.forwards,
    "backwards": orders.backwards,
    "pairs": orders.pairs,
    "blocks": orders.in_blocks(16),
    "shuffled": orders.shuffled(1),
}


model_of, bounds_of = partial(small.model_of, kind="float16"), partial(small.bounds_of, kind="float16")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_onnxruntime_stays_within_the_bound(name: str, level: str) -> None:
    assert 0 < ratio(by_onnxruntime(model_of(name), IMAGES, level), bounds_of(name)) < 1


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_reference_evaluator_stays_within_the_bound(name: str) -> None:
    """It rounds what comes of every operator to float16."""
    assert 0.003 < ratio(by_reference(onnx.load_from_string(model_of(name))), bounds_of(name)) < 1


@pytest.mark.parametrize("order", SUMS)
@pytest.mark.parametrize("name", ["linear", "mlp", "deep"])
def test_no_order_of_summation_exceeds_the_bound(name: str, order: str) -> None:
    found = in_half(model_of(name), IMAGES, SUMS[order], np.float32)
    assert 0.003 < ratio(found, bounds_of(name)) < 1


@pytest.mark.parametrize("name", ["linear", "mlp", "deep"])
def test_sums_in_float16_stay_within_a_bound_of_their_own(name: str) -> None:
    expected = half.bounds(model_of(name), IMAGES, half.HALF)

    def total(terms: Any) -> Any:
        return np.add.accumulate(terms, axis=-1, dtype=np.float16)[..., -1]

    found = in_half(model_of(name), IMAGES, total, np.float16)
    assert ratio(found, expected) < 1
    assert (expected.differences >= bounds_of(name).differences).all()


BIAS = torch.tensor([0.0] * 9 + [-1.0])  # all zeros would be left out of the file


def twice_rounded() -> tuple[bytes, Any]:
    """A sum just below the middle of two float16 numbers, for two digits in opposite ways."""
    weight, bias = torch.zeros(10, 784), torch.zeros(10)
    weight[0, 0], bias[0] = 16 * 0.99 * 2**-11, 16
    weight[1], bias[1] = -weight[0], -bias[0]
    return converted(set_weights(mlp([], mean=0.25, std=0.75), (weight, bias)), "float16"), WHITE


def roughly_normalized() -> tuple[bytes, Any]:
    """Pixels whose normalization is far off, for two digits in opposite ways."""
    one, greys = np.float16, np.arange(256)
    mean, std = one(0.13), one(0.31)
    exact = (greys / 255 - float(mean)) / float(std)
    wrong = ((greys.astype(one) / one(255) - mean) / std).astype(float) - exact
    image = np.full((1, 1, 28, 28), np.abs(wrong).argmax(), np.uint8)
    weight = torch.zeros(10, 784)
    weight[0], weight[1] = 1.0, -1.0
    return converted(set_weights(mlp([], mean=0.13, std=0.31), (weight, BIAS)), "float16"), image


@pytest.mark.parametrize(
    ("attack", "mistake", "least"),
    [(twice_rounded, "OF_RESULTS", 0.05), (roughly_normalized, "OF_A_QUOTIENT", 0.05)],
)
def test_a_bound_with_a_mistake_is_exceeded(
    attack: Any, mistake: str, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, images = attack()
    found = in_half(content, images, orders.forwards, np.float32)
    right = ratio(found, half.bounds(content, images))
    monkeypatch.setattr(half, mistake, 0)
    monkeypatch.setattr(half, "CONSTANT", 0.0)
    monkeypatch.setattr(half, "SPREAD", 0.0)
    assert least < right < 1 < ratio(found, half.bounds(content, images))


def test_the_exact_answers_are_those_of_the_rounded_numbers() -> None:
    """A float64 evaluation of the file, its numbers as they are, is far nearer than float16 is."""
    wide = onnx.load_from_string(model_of("mlp"))
    for tensor in wide.graph.initializer:
        numbers = onnx.numpy_helper.to_array(tensor)
        if numbers.dtype == np.float16:
            tensor.CopyFrom(onnx.numpy_helper.from_array(numbers.astype(np.float64), tensor.name))
    for node in wide.graph.node:
        if node.op_type == "Cast":
            node.attribute[0].i = onnx.TensorProto.DOUBLE
    wide.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    found = by_reference(wide)
    np.testing.assert_allclose(differences(found), differences(bounds_of("mlp").logits), atol=1e-12)


@pytest.mark.parametrize("size", [200.0, 60_000.0])
def test_what_would_overflow_has_no_bound(size: float) -> None:
    weight = torch.full((1, 784), size)
    classifier = set_weights(
        mlp([1], mean=0.25, std=0.75), (weight, torch.ones(1)), (torch.ones(10, 1), BIAS)
    )
    found: Bounds = half.bounds(converted(classifier, "float16"), WHITE)
    assert np.isinf(found.differences).all()
    assert not found.certain.any()


def test_a_model_with_grids_is_none_in_float16() -> None:
    with pytest.raises(UnknownNetworkError, match="Grid"):
        half.bounds(converted(CLASSIFIERS["mlp"], "int8"), IMAGES)
