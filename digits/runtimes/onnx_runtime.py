"""onnxruntime."""

import json
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digits.runtimes import RuntimeUnavailableError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntime:
    """A model in onnxruntime, on one thread.

    `provider` is `cpu` or `cuda`; with `optimization` `enabled` the graph is optimized as far as onnxruntime
    goes. TF32, which keeps ten bits of every number, is off.

    Raises:
        RuntimeUnavailableError: any node would run, or did run, on another provider.
    """

    name = "onnxruntime"
    version = str(onnxruntime.__version__)

    def __init__(self, model: bytes, provider: Literal["cpu", "cuda"], optimization: str) -> None:
        wanted = PROVIDERS[provider]
        if wanted not in onnxruntime.get_available_providers():
            raise RuntimeUnavailableError(f"this build of onnxruntime has no {wanted}")
        if provider == "cuda":
            onnxruntime.preload_dlls()  # the CUDA libraries that came with PyTorch
        self._session = _session(model, wanted, optimization)
        used = _providers_that_ran(model, wanted, optimization)
        if used != {wanted}:
            raise RuntimeUnavailableError(f"onnxruntime ran nodes on {sorted(used)} instead of {wanted}")
        self.provider = wanted
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.floating]:
        output: NDArray[np.floating] = self._session.run([self._output], {self._input: images})[0]
        return output


def _session(
    model: bytes, provider: str, optimization: str, profile: Path | None = None
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = {"disabled": levels.ORT_DISABLE_ALL, "enabled": levels.ORT_ENABLE_ALL}[
        optimization
    ]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if provider != PROVIDERS["cpu"]:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    settings = {"use_tf32": "0"} if provider == PROVIDERS["cuda"] else {}
    try:
        return onnxruntime.InferenceSession(model, options, providers=[(provider, settings)])
    except Exception as error:  # onnxruntime's errors share no narrower class
        raise RuntimeUnavailableError(
            f"onnxruntime does not load the model on {provider}: {error}"
        ) from error


def _providers_that_ran(model: bytes, provider: str, optimization: str) -> set[str]:
    """The providers of all nodes in a profiled run: what was asked for says nothing of what happened."""
    with tempfile.TemporaryDirectory() as folder:
        session = _session(model, provider, optimization, Path(folder) / "profile")
        session.run(None, {session.get_inputs()[0].name: np.zeros((2, 1, 28, 28), np.uint8)})
        events = json.loads(Path(session.end_profiling()).read_text())
    return {event["args"]["provider"] for event in events if event.get("args", {}).get("provider")}
