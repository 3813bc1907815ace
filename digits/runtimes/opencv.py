"""OpenCV's DNN module on the CPU."""

import numpy as np
from numpy.typing import NDArray

from digits.onnx.contract import INPUT, OUTPUT
from digits.onnx.runtime import Model, Runtime, RuntimeFailedError, require


class OpenCv(Runtime):
    name = "OpenCV DNN"
    threads = 1

    def __init__(self, model: Model, level: str = "default") -> None:
        cv2 = require("cv2", "opencv")
        self.version = str(cv2.__version__)
        self.provider = "CPU"
        cv2.setNumThreads(self.threads)  # of this whole process
        try:
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(model.onnx, np.uint8))
        except cv2.error as error:
            raise RuntimeFailedError(f"OpenCV does not load the model: {error}") from error

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        self._net.setInput(images, INPUT)
        found: NDArray[np.floating] = self._net.forward(output)
        return found.copy()  # the next answer would overwrite it
