"""What the exported model answers: exactly what whoever uses the file gets."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digits.common.about import About

BATCH = 1000
SURE = 0.9
"""A probability above this is a sure answer."""


class Answers(NamedTuple):
    """Of n images."""

    classes: NDArray[np.int64]
    """The most probable ones, [n]."""
    probabilities: NDArray[np.float32]
    """Theirs, [n], 0 to 1."""
    familiarity: NDArray[np.float32]
    """How much the images are like the training images, [n]."""
    threshold: float
    """The familiarity below which an image is refused."""

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Whether the image is not refused, [n]."""
        found: NDArray[np.bool_] = self.familiarity >= self.threshold
        return found

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Whether the answer is sure, refused or not, [n]."""
        found: NDArray[np.bool_] = self.probabilities > SURE
        return found

    @property
    def taken(self) -> NDArray[np.bool_]:
        """Whether the image is not refused, and the answer sure, [n]: what nobody would doubt."""
        return self.accepted & self.sure


class ExportedModel:
    """An ONNX file in onnxruntime, on one thread of the CPU."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._threshold = float(metadata["familiarity_threshold"])
        self.about = About.parse(metadata["data"], path)
        """The images that it has learnt from."""

    def __call__(self, images: NDArray[np.uint8]) -> Answers:
        """Of images uint8 [n, 28, 28]."""
        found = []
        for start in range(0, len(images), BATCH):
            part = {"image": images[start : start + BATCH, None]}
            logarithms, familiarity = self._session.run(["log_probabilities", "familiarity"], part)
            best = logarithms.argmax(axis=1)
            found.append((best, np.exp(logarithms.max(axis=1)), familiarity))
        classes, probabilities, familiarities = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Answers(classes, probabilities, familiarities, self._threshold)
