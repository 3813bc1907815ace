"""onnxruntime in this process, on any provider."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from digits.onnx.contract import INPUT, OUTPUT
from digits.onnx.runtime import Model, Runtime, RuntimeFailedError, RuntimeUnavailableError, require

CPU = "CPUExecutionProvider"


class OnnxRuntime(Runtime):
    """A model in onnxruntime, on `threads` threads of the CPU.

    With `level` `enabled` the graph is optimized as far as onnxruntime goes. Raises RuntimeUnavailableError
    when any node would run, or did run, on another provider than the one asked for.
    """

    name = "onnxruntime"
    levels = ("disabled", "enabled")
    threads = 1
    computes_all = True
    wanted: ClassVar[str]
    settings: ClassVar[dict[str, str]] = {}

    def __init__(self, model: Model, level: str) -> None:
        onnxruntime = require("onnxruntime", "")
        self.version = str(onnxruntime.__version__)
        if self.wanted not in onnxruntime.get_available_providers():
            raise RuntimeUnavailableError(f"this build of onnxruntime has no {self.wanted}")
        if self.wanted != CPU:
            onnxruntime.preload_dlls()  # the CUDA libraries that came with PyTorch
        self._session = self._load(model.onnx, level)
        used = self._providers_that_ran(model.onnx, level)
        if used != {self.wanted}:
            raise RuntimeUnavailableError(f"onnxruntime ran nodes on {sorted(used)} instead of {self.wanted}")
        self.provider = self.wanted

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        found: NDArray[np.floating] = self._session.run([output], {INPUT: images})[0]
        return found

    def values(self, images: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.floating]]:
        return list(self._session.run(list(names), {INPUT: images}))

    def _load(self, model: bytes, level: str, profile: Path | None = None) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = {
            "disabled": levels.ORT_DISABLE_ALL,
            "enabled": levels.ORT_ENABLE_ALL,
        }[level]
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.log_severity_level = 3
        if self.wanted != CPU:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile)
        try:
            return onnxruntime.InferenceSession(model, options, providers=[(self.wanted, self.settings)])
        except Exception as error:  # onnxruntime's errors share no narrower class
            raise RuntimeFailedError(
                f"onnxruntime does not load the model on {self.wanted}: {error}"
            ) from error

    def _providers_that_ran(self, model: bytes, level: str) -> set[str]:
        """Of all nodes in a profiled run: what was asked for says nothing of what happened."""
        with tempfile.TemporaryDirectory() as folder:
            session = self._load(model, level, Path(folder) / "profile")
            session.run(None, {session.get_inputs()[0].name: np.zeros((2, 1, 28, 28), np.uint8)})
            events = json.loads(Path(session.end_profiling()).read_text())
        return {event["args"]["provider"] for event in events if event.get("args", {}).get("provider")}
