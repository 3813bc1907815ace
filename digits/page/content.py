"""What the page of a run shows: report.json, and files packed for the browser."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digits.common.errors import DigitsError
from digits.data.datasets import Dataset

METADATA_TREES = ("classes", "data", "parameters")
HASHES = "_sha256"


class PageError(DigitsError):
    """The reports do not belong together."""


class Answers:
    """What the ONNX model says of the test images, and what it says of itself."""

    def __init__(self, model: bytes, test: Dataset) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (output,) = session.run(["log_probabilities"], {"image": test.images[:, None]})
        self.test = test
        self.log_probabilities: NDArray[np.float32] = output
        self.predictions = output.argmax(axis=1)
        self.metadata = dict(session.get_modelmeta().custom_metadata_map)

    def mistakes(self, count: int) -> list[dict[str, Any]]:
        """The mistakes in which the model was most sure, each with its image as base64 of 784 grey values."""
        wrong = np.flatnonzero(self.predictions != self.test.labels)
        sure = self.log_probabilities[wrong, self.predictions[wrong]]
        return [
            {
                "index": index,
                "actual": int(self.test.labels[index]),
                "predicted": int(self.predictions[index]),
                "probability": round(float(np.exp(self.log_probabilities[index].max())), 6),
                "image": base64.b64encode(self.test.images[index].tobytes()).decode(),
            }
            for index in wrong[np.argsort(-sure, kind="stable")][:count].tolist()
        ]

    def check(self, predictions: Sequence[str], accuracy: float, classes: Sequence[str]) -> None:
        """Raises PageError where PyTorch's predictions or the accuracy are those of another model."""
        if [classes[index] for index in self.predictions] != [*predictions]:
            raise PageError("reports/predictions.csv is not of models/model.onnx; `dvc repro` makes both")
        if float((self.predictions == self.test.labels).mean()) != accuracy:
            raise PageError("reports/metrics.json is not of models/model.onnx; `dvc repro` makes both")


def report(
    answers: Answers,
    mistakes: int,
    training: Sequence[Mapping[str, str]],
    hashes: Mapping[str, str],
    model: Mapping[str, object],
    **tables: object,
) -> str:
    """The JSON that the page reads; `training` is the rows of training.csv, `tables` are taken as is."""
    said = {
        key: json.loads(value) if key in METADATA_TREES else value
        for key, value in sorted(answers.metadata.items())
    }
    parameters = said.pop("parameters", {})
    said.pop("data", None)  # the same as `data` among the tables
    stated = {key.removesuffix(HASHES): said.pop(key) for key in sorted(said) if key.endswith(HASHES)}
    content = {
        **tables,
        "labels": _characters(answers.test.labels),
        "predictions": _characters(answers.predictions),
        "mistakes": answers.mistakes(mistakes),
        "training": {key: [_number(row[key]) for row in training] for key in training[0]},
        "model": {**model, **said},
        "parameters": parameters,
        "hashes": {**hashes, **{f"{name}, as the model states": found for name, found in stated.items()}},
    }
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


def pack(content: bytes) -> bytes:
    """Compressed with gzip, to bytes that depend on nothing else."""
    return gzip.compress(content, compresslevel=6, mtime=0)  # 9: four times as long, 1 % smaller


def _characters(classes: NDArray[np.integer]) -> str:
    """A character for each image: of the class n, the n-th after the digit 0."""
    return "".join(chr(ord("0") + index) for index in classes.tolist())


def _number(text: str) -> float | int | str | None:
    """A cell of a CSV file as JSON has it."""
    if not text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
