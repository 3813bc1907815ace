"""onnxruntime-web on several threads, which needs a page that is isolated from other origins."""

from digits.runtimes._browser import OnnxRuntimeWeb


class OnnxRuntimeWebThreads(OnnxRuntimeWeb):
    name = "onnxruntime-web"
    threads = 4
