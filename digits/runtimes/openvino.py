"""OpenVINO on the CPU. Where the processor has bfloat16 it would use that, unless told to stay in float32."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digits.onnx.contract import INPUT, OUTPUT
from digits.onnx.runtime import Model, Runtime, RuntimeFailedError, require


class OpenVino(Runtime):
    name = "OpenVINO"
    threads = 1
    computes_all = True

    def __init__(self, model: Model, level: str = "default") -> None:
        openvino = require("openvino", "openvino")
        self.version = str(openvino.get_version()).split("-")[0]
        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": self.threads}
        try:
            self._compiled = core.compile_model(core.read_model(model.onnx), "CPU", settings)
        except RuntimeError as error:
            raise RuntimeFailedError(f"OpenVINO does not load the model: {error}") from error
        devices = ", ".join(self._compiled.get_property("EXECUTION_DEVICES"))
        precision = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.provider = f"{devices}, {precision}"

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        found: NDArray[np.floating] = self._compiled({INPUT: images})[output]
        return found.copy()  # the next answer would overwrite it

    def values(self, images: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.floating]]:
        found = self._compiled({INPUT: images})
        return [found[name].copy() for name in names]
