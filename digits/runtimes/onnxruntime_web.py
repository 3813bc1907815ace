"""onnxruntime-web on one thread, which works on every page."""

from digits.runtimes._browser import OnnxRuntimeWeb


class OnnxRuntimeWebSingle(OnnxRuntimeWeb):
    name = "onnxruntime-web"
    threads = 1
