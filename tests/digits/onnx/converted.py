"""Small models in float16 and int8, and how runtimes other than onnxruntime might compute them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from digits.networks.classifier import Classifier
from digits.onnx import small_models
from digits.onnx.agreement import BOUNDS
from digits.onnx.bound import Bounds
from digits.onnx.contract import INPUT, OUTPUT
from digits.onnx.export import to_onnx
from tests.digits.onnx.bounded import CLASSIFIERS

RNG = np.random.default_rng(1)
IMAGES = RNG.integers(0, 256, (30, 1, 28, 28), dtype=np.uint8)
IMAGES[:15] *= RNG.random((15, 1, 28, 28)) < 0.2  # mostly paper, as digits are
LEVELS = {
    "disabled": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "enabled": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
Numbers = NDArray[Any]


def converted(classifier: Classifier, name: str) -> bytes:
    return small_models.FORMATS[name](to_onnx(classifier, 20, {}).SerializeToString(), IMAGES)


@cache  # not when a module is loaded, which every process of a test run does
def model_of(name: str, kind: str) -> bytes:
    """The small classifier of this name in the format `kind`."""
    return converted(CLASSIFIERS[name], kind)


@cache
def bounds_of(name: str, kind: str) -> Bounds:
    return BOUNDS[kind](model_of(name, kind), IMAGES)


def by_onnxruntime(content: bytes, images: Numbers, level: str) -> Numbers:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found: Numbers = session.run([OUTPUT], {INPUT: images})[0]
    return found


def by_reference(model: onnx.ModelProto) -> Numbers:
    answers: Any = onnx.reference.ReferenceEvaluator(model).run(None, {INPUT: IMAGES})
    found: Numbers = answers[0]
    return found


def held(content: bytes) -> dict[str, Numbers]:
    graph = onnx.load_from_string(content).graph
    numbers: dict[str, Numbers] = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    return numbers


def in_half(
    content: bytes, images: Numbers, total: Callable[[Numbers], Numbers], accumulated: type[np.floating]
) -> Numbers:
    """A perceptron's log-probabilities in float16, the products of each sum added up by `total`."""
    numbers, one = held(content), np.float16
    values = images.astype(one) / one(255)
    values = ((values - numbers["mean"]) / numbers["std"]).reshape(len(images), -1)
    names = [name.removesuffix(".weight") for name in numbers if name.endswith(".weight")]
    for name in names:
        weight, bias = (numbers[f"{name}.{kind}"] for kind in ("weight", "bias"))
        products = values[:, None].astype(accumulated) * weight.astype(accumulated)
        values = total(products).astype(one) + bias
        values = values if name == names[-1] else np.maximum(values, one(0))
    shifted = values - values.max(axis=1, keepdims=True)
    found: Numbers = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    assert found.dtype == one
    return found


def in_integers(content: bytes, images: Numbers, one: type[np.floating], up: bool) -> Numbers:
    """A perceptron's log-probabilities with integer sums, ties of the scaled ones up or to even."""
    numbers = held(content)

    def onto(values: Numbers, name: str) -> Numbers:
        rounded = np.floor(values + one(0.5)) if up else np.rint(values)
        codes: Numbers = np.clip(rounded + one(numbers[f"{name}_zero_point"]), 0, 255).astype(np.int32)
        return codes

    pixels = (images.astype(one) * (one(1) / one(255)) - one(numbers["mean"])) * (
        one(1) / one(numbers["std"])
    )
    before, name = pixels.reshape(len(images), -1), "view"
    codes = onto(before / one(numbers["view_scale"]), name)
    layers = [key.removesuffix(".weight_quantized") for key in numbers if key.endswith(".weight_quantized")]
    for number, layer in enumerate(layers):
        after = "linear" + (f"_{number}" if number else "")
        weight = numbers[f"{layer}.weight_quantized"].astype(np.int32)
        sums = (codes - int(numbers[f"{name}_zero_point"])) @ weight.T
        sums += numbers[f"{layer}.bias_quantized"]
        scale = one(numbers[f"{name}_scale"]) * numbers[f"{layer}.weight_scale"].astype(one)
        codes = onto(sums.astype(one) * (scale / one(numbers[f"{after}_scale"])), after)
        logits = (codes - int(numbers[f"{after}_zero_point"])).astype(one) * one(numbers[f"{after}_scale"])
        if number < len(layers) - 1:
            name = "relu" + (f"_{number}" if number else "")
            codes = onto(np.maximum(logits, one(0)) / one(numbers[f"{name}_scale"]), name)
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: Numbers = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found
