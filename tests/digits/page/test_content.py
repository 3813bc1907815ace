"""What the page shows is what the model says, and belongs together."""

import base64
import gzip
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from digits.common.about import DIGITS
from digits.data.datasets import Dataset
from digits.page.content import Answers, PageError, pack, report


def model() -> bytes:
    """Says the digit whose pixel in the first row is darkest."""
    weights = np.zeros((784, 10), np.float32)
    weights[range(10), range(10)] = 0.01
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Cast", ["flat"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["float", "weights"], ["logits"]),
            helper.make_node("LogSoftmax", ["logits"], ["log_probabilities"]),
        ],
        "darkest",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("log_probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(weights, "weights")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(
        made, {"parameters": '{"train": {"seed": 42}}', "mean": "0.1307", "model_sha256": "abc"}
    )
    content: bytes = made.SerializeToString()
    onnx.checker.check_model(content)
    return content


@pytest.fixture
def answers() -> Answers:
    """Of four images, the model takes 3 for 5, and, being more sure, 1 for 7."""
    images = np.zeros((4, 28, 28), np.uint8)
    for number, (pixel, grey) in enumerate(((2, 255), (5, 100), (7, 255), (9, 255))):
        images[number, 0, pixel] = grey
    return Answers(model(), Dataset(images, np.array([2, 3, 1, 9], np.uint8)))


def test_mistakes_come_with_the_surest_first(answers: Answers) -> None:
    first, second = answers.mistakes(10)
    assert (first["index"], first["actual"], first["predicted"]) == (2, 1, 7)
    assert (second["index"], second["actual"], second["predicted"]) == (1, 3, 5)
    assert first["probability"] > second["probability"] > 0.1
    assert base64.b64decode(first["image"]) == answers.test.images[2].tobytes()
    assert answers.mistakes(1) == [first]


def test_reports_of_another_model_are_refused(answers: Answers) -> None:
    answers.check(["2", "5", "7", "9"], 0.5, DIGITS)
    with pytest.raises(PageError, match=r"predictions\.csv is not of models/model\.onnx"):
        answers.check(["2", "5", "7", "8"], 0.5, DIGITS)
    with pytest.raises(PageError, match=r"metrics\.json is not of models/model\.onnx"):
        answers.check(["2", "5", "7", "9"], 0.6, DIGITS)


def test_the_report_is_json_that_a_browser_reads(answers: Answers) -> None:
    training = [
        {"step": "1", "loss": "2.5", "validation_loss": ""},
        {"step": "2", "loss": "1", "validation_loss": ""},
    ]
    hashes, facts = {"model.onnx": "def"}, {"bytes": 7}
    content = json.loads(
        report(answers, 1, training, hashes, facts, parity={"passed": True, "new": {"key": 1}})
    )
    assert content["labels"] == "2319"
    assert content["predictions"] == "2579"
    assert content["training"] == {"step": [1, 2], "loss": [2.5, 1], "validation_loss": [None, None]}
    assert content["parameters"] == {"train": {"seed": 42}}
    assert content["model"] == {"bytes": 7, "mean": "0.1307"}
    assert content["hashes"] == {"model.onnx": "def", "model, as the model states": "abc"}
    assert content["parity"] == {"passed": True, "new": {"key": 1}}, "whatever the certificate has"


def test_packing_gives_the_same_bytes_and_back() -> None:
    assert pack(b"digits" * 100) == pack(b"digits" * 100)
    assert gzip.decompress(pack(b"digits" * 100)) == b"digits" * 100
