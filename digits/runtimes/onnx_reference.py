"""The reference evaluator of ONNX: numpy that defines what each operator means, and is slow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.onnx.contract import INPUT, OUTPUT
from digits.onnx.runtime import Model, Runtime, RuntimeFailedError


class OnnxReference(Runtime):
    name = "ONNX reference evaluator"

    def __init__(self, model: Model, level: str = "default") -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        self.version = str(onnx.__version__)
        self.provider = "numpy"
        try:
            self._evaluator = ReferenceEvaluator(onnx.load_from_string(model.onnx))
        except Exception as error:  # protobuf's, and onnx's own
            raise RuntimeFailedError(f"the reference evaluator does not load the model: {error}") from error

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        found: Any = self._evaluator.run([output], {INPUT: images})
        return np.asarray(found[0])

    def values(self, images: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.floating]]:
        found: Any = self._evaluator.run(list(names), {INPUT: images})
        return [np.asarray(values) for values in found]
