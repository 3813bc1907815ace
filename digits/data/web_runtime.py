"""What runs the model in the page: the files of the npm package onnxruntime-web, by their SHA-256."""

from digits.data.download import RawFile

VERSION = "1.30.0"
LIBRARY = RawFile(
    "ort.wasm.bundle.min.mjs", 73_054, "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"
)
# The build for the CPU alone: others bring WebGPU, and twice the bytes.
WASM = RawFile(
    "ort-wasm-simd-threaded.wasm",
    14_239_897,
    "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
)
