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
        self._parts: dict[str, Any] = {}
        try:
            self._model = onnx.load_from_string(model.onnx)
            self._evaluator = ReferenceEvaluator(self._model)
        except Exception as error:  # protobuf's, and onnx's own
            raise RuntimeFailedError(f"the reference evaluator does not load the model: {error}") from error

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        found: Any = self._part(output).run([output], {INPUT: images})
        return np.asarray(found[0])

    def _part(self, output: str) -> Any:
        """What this output needs: the whole evaluator computes all, for the familiarity a pixel at a time."""
        from onnx.reference import ReferenceEvaluator
        from onnx.utils import Extractor

        if output not in self._parts:
            part = Extractor(self._model).extract_model([INPUT], [output])
            self._parts[output] = ReferenceEvaluator(part)
        return self._parts[output]

    def values(self, images: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.floating]]:
        found: Any = self._evaluator.run(list(names), {INPUT: images})
        return [np.asarray(values) for values in found]
