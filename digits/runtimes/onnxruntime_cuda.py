"""onnxruntime on an NVIDIA GPU, in full float32."""

import torch

from digits.onnx.runtime import Model, NoDeviceError
from digits.runtimes._onnxruntime import OnnxRuntime


class OnnxRuntimeCuda(OnnxRuntime):
    wanted = "CUDAExecutionProvider"
    settings = {"use_tf32": "0"}  # noqa: RUF012 - TF32 keeps ten bits of every number

    def __init__(self, model: Model, level: str) -> None:
        if not torch.cuda.is_available():
            raise NoDeviceError("there is no NVIDIA GPU here")
        super().__init__(model, level)
