"""What is certain of smaller models next to the float32 one, by their bounds and by onnxruntime's answers."""

import numpy as np
import pytest

from digits.onnx import agreement
from digits.onnx.export import to_onnx
from digits.onnx.proven import Proven
from digits.onnx.runtime import Model
from digits.onnx.small_models import FORMATS
from tests.digits.onnx.bounded import mlp
from tests.digits.onnx.converted import IMAGES, by_onnxruntime


@pytest.fixture(scope="module")
def model() -> Model:
    classifier = mlp([24, 16])
    return Model(to_onnx(classifier, 20, {}).SerializeToString(), classifier)


@pytest.fixture(scope="module")
def single(model: Model) -> Proven:
    return Proven(model, IMAGES)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_certain_to_agree_agrees(name: str, model: Model, single: Proven) -> None:
    small = FORMATS[name](model.onnx, IMAGES)
    answers, expected = (by_onnxruntime(content, IMAGES, "enabled") for content in (small, model.onnx))
    facts = agreement.facts(name, small, IMAGES, answers, single)
    same = int((answers.argmax(axis=1) == expected.argmax(axis=1)).sum())
    assert 0 < facts["certain_to_agree"] <= same
    assert facts["certain_to_agree"] + facts["certain_to_differ"] <= facts["certain"] <= 30
    assert facts["images_bounded"] == 30
    assert 0 < facts["part_of_bound"] < 1
    observed = np.abs(answers - expected).max()
    assert observed / 2 < facts["largest_difference_bound"]
    assert facts["median_difference_bound"] <= facts["largest_difference_bound"]


def test_a_runtime_that_errs_by_more_shows(model: Model, single: Proven) -> None:
    small = FORMATS["float16"](model.onnx, IMAGES)
    answers = by_onnxruntime(small, IMAGES, "enabled")
    answers[7, 3] += 1
    assert agreement.facts("float16", small, IMAGES, answers, single)["part_of_bound"] > 1


def test_a_digit_that_is_certain_to_be_another_is_counted(single: Proven) -> None:
    """The smaller model of another network, and the float32 one of this."""
    other = to_onnx(mlp([24, 16], seed=2), 20, {}).SerializeToString()
    small = FORMATS["float16"](other, IMAGES)
    facts = agreement.facts("float16", small, IMAGES, by_onnxruntime(small, IMAGES, "enabled"), single)
    assert facts["certain_to_differ"] > 10
