"""The error bound of 8-bit models, against onnxruntime's two ways to compute them and others."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from digits.onnx import file_layers, quantized
from digits.onnx.file_layers import Grid
from digits.onnx.layers import Layer, UnknownNetworkError
from tests.digits.onnx import converted as small
from tests.digits.onnx.bounded import CLASSIFIERS, differences, ratio
from tests.digits.onnx.converted import (
    IMAGES,
    LEVELS,
    by_onnxruntime,
    by_reference,
    in_integers,
)

model_of, bounds_of = partial(small.model_of, kind="int8"), partial(small.bounds_of, kind="int8")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_onnxruntime_stays_within_the_bound(name: str, level: str) -> None:
    assert ratio(by_onnxruntime(model_of(name), IMAGES, level), bounds_of(name)) < 1


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_reference_evaluator_stays_within_the_bound(name: str) -> None:
    assert ratio(by_reference(onnx.load_from_string(model_of(name))), bounds_of(name)) < 1


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("one", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["linear", "mlp", "deep"])
def test_integer_sums_stay_within_the_bound(name: str, one: type[np.floating], up: bool) -> None:
    assert ratio(in_integers(model_of(name), IMAGES, one, up), bounds_of(name)) < 1


def test_most_numbers_are_known_exactly() -> None:
    """So a runtime that is right mostly gives the exact answer, but for the rounding of log-softmax."""
    found = in_integers(model_of("mlp"), IMAGES, np.float64, up=False)
    np.testing.assert_allclose(differences(found), differences(bounds_of("mlp").logits), atol=1e-6)


def between_steps() -> Iterator[tuple[bytes, NDArray[np.uint8]]]:
    """The linear model with another last grid each: a logit of an image is in the middle of two steps."""
    file = file_layers.read(model_of("linear"))
    grid, layer, _ = file.steps
    assert isinstance(grid, Grid)
    assert isinstance(layer, Layer)
    pixels = (torch.from_numpy(IMAGES).double() / 255 - file.mean) / file.std
    model = onnx.load_from_string(model_of("linear"))
    scale = next(tensor for tensor in model.graph.initializer if tensor.name == "linear_scale")
    for row, logits in enumerate(layer.values(grid.nearest(pixels)).tolist()):
        for logit in logits[:4]:
            scale.CopyFrom(onnx.numpy_helper.from_array(np.array(abs(logit) / 60.5, np.float32), scale.name))
            yield model.SerializeToString(), IMAGES[row, None]


def test_numbers_between_two_steps_are_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some, float32 takes another step than float64; where a bound forgets that, it shows."""
    cases = [*between_steps()]
    found = [by_onnxruntime(*case, "disabled") for case in cases]
    right = [quantized.bounds(*case) for case in cases]
    assert 0.1 < max(map(ratio, found, right)) < 1
    monkeypatch.setattr(quantized, "gamma", lambda roundings: 0.0)
    assert max(map(ratio, found, [quantized.bounds(*case) for case in cases])) > 1


def test_a_grid_ends_at_its_first_and_last_step() -> None:
    grid = Grid(0.5, 10)
    values = torch.tensor([-9.0, -5.2, -0.2, 0.24, 0.26, 0.7, 122.4, 130.0], dtype=torch.float64)
    assert grid.nearest(values).tolist() == [-5.0, -5.0, 0.0, 0.0, 0.5, 0.5, 122.5, 122.5]


def test_what_is_read_is_what_the_file_holds() -> None:
    file = file_layers.read(model_of("cnn"))
    kinds = [type(step).__name__ for step in file.steps]
    block = ["Convolution", "Grid", "Relu"]
    assert kinds == [
        "Grid",
        *block,
        "Grid",
        *block,
        "Grid",
        *block,
        "Grid",
        *block,
        "Mean",
        "Grid",
        "Dense",
        "Grid",
    ]
    assert (file.mean, file.std) == (float(np.float32(0.1307)), float(np.float32(0.3081)))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Relu", "Tanh", "operator Tanh"),
        ("LogSoftmax", "Softmax", "end with LogSoftmax"),
        ("Sub", "Add", "begins"),
    ],
)
def test_other_files_have_no_bound(old: str, new: str, reason: str) -> None:
    model = onnx.load_from_string(model_of("mlp"))
    for node in model.graph.node:
        node.op_type = new if node.op_type == old else node.op_type
    with pytest.raises(UnknownNetworkError, match=reason):
        file_layers.read(model.SerializeToString())
