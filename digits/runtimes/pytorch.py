"""PyTorch, in the precision of the training and in float64, the oracle."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from digits.classifier import Classifier


class PyTorch:
    """The classifier in `float32` or `float64`, on the CPU."""

    def __init__(self, classifier: Classifier, precision: torch.dtype) -> None:
        self.name = f"PyTorch {str(precision).removeprefix('torch.')}"
        self.version = str(torch.__version__)
        self.provider = "CPU"
        self._classifier = copy.deepcopy(classifier).to("cpu", precision).eval()

    @torch.inference_mode()
    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.floating]:
        output: NDArray[np.floating] = self._classifier(torch.from_numpy(images)).numpy()
        return output
