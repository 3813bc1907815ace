"""onnxruntime-node, in a child process."""

import contextlib
import json
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.onnx.contract import OUTPUT
from digits.onnx.runtime import Model, Runtime, RuntimeFailedError, RuntimeUnavailableError
from digits.runtimes._javascript import FOLDER, answers, package, task


class OnnxRuntimeNode(Runtime):
    name = "onnxruntime-node"
    levels = ("disabled", "enabled")

    def __init__(self, model: Model, level: str) -> None:
        package("onnxruntime-node")
        node = shutil.which("node")
        if not node:
            raise RuntimeUnavailableError("Node.js is not installed: there is no program `node`")
        with contextlib.ExitStack() as started:
            folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
            (folder / "model.onnx").write_bytes(model.onnx)
            self._child = started.enter_context(
                subprocess.Popen(
                    [node, str(FOLDER / "node.mjs"), str(folder / "model.onnx"), level],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            started.callback(self._child.kill)
            head, _ = self._receive()
            if "error" in head:
                raise RuntimeFailedError(f"onnxruntime-node does not load the model: {head['error']}")
            self.version, self.provider = head["version"], head["provider"]
            self._started = started.pop_all()

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        return self.predict_all(images, len(images), output)

    def predict_all(
        self, images: NDArray[np.uint8], batch_size: int, output: str = OUTPUT
    ) -> NDArray[np.floating]:
        assert self._child.stdin
        head = json.dumps(task(images, batch_size, output)).encode()
        with contextlib.suppress(BrokenPipeError):  # a child that has ended has said why, or is found ended
            for part in (struct.pack("<I", len(head)), head, images.tobytes()):
                self._child.stdin.write(part)
            self._child.stdin.flush()
        return answers(*self._receive())

    def close(self) -> None:
        self._started.close()

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        (length,) = struct.unpack("<I", self._read(4))
        head = json.loads(self._read(length))
        return head, self._read(head.get("bytes", 0))

    def _read(self, size: int) -> bytes:
        assert self._child.stdout
        found = self._child.stdout.read(size)
        if len(found) != size:
            raise RuntimeFailedError(f"Node.js has ended with code {self._child.wait()}")
        return found
