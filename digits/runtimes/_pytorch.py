"""PyTorch on the CPU, in any precision."""

import copy
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from digits.onnx.contract import FAMILIARITY, OUTPUT
from digits.onnx.runtime import Model, Runtime


class PyTorch(Runtime):
    """The classifier itself, in `precision`."""

    precision: ClassVar[torch.dtype]

    def __init__(self, model: Model, level: str = "default") -> None:
        self.name = f"PyTorch {str(self.precision).removeprefix('torch.')}"
        self.version = str(torch.__version__)
        self.provider = "CPU"
        self._classifier = copy.deepcopy(model.classifier).to("cpu", self.precision).eval()

    @torch.inference_mode()
    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        compute = self._classifier.familiar if output == FAMILIARITY else self._classifier
        found: NDArray[np.floating] = compute(torch.from_numpy(images)).numpy()
        return found
