"""onnxruntime on the CPU."""

from digits.runtimes._onnxruntime import CPU, OnnxRuntime


class OnnxRuntimeCpu(OnnxRuntime):
    wanted = CPU
