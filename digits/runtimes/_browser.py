"""onnxruntime-web in a real browser without a window: its page asks a server in this process for work."""

import contextlib
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from digits.onnx.contract import OUTPUT
from digits.onnx.runtime import Model, Runtime, RuntimeFailedError, RuntimeUnavailableError
from digits.runtimes._javascript import FOLDER, answers, package, task

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
# The page is ours and nothing else is opened; a container has neither the sandbox's rights nor its memory.
OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
]
TYPES = {".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm"}
SECONDS = 300  # for one answer


def find_browser() -> str | None:
    """The path of a browser of the Chromium family on this machine."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class OnnxRuntimeWeb(Runtime):
    """onnxruntime-web as WebAssembly, on `threads` threads."""

    levels = ("disabled", "enabled")
    threads: ClassVar[int] = 1

    def __init__(self, model: Model, level: str) -> None:
        distribution = package("onnxruntime-web") / "dist"
        browser = find_browser()
        if not browser:
            raise RuntimeUnavailableError(f"there is no browser: none of the programs {', '.join(BROWSERS)}")
        with contextlib.ExitStack() as started:
            self._server = _Server(model.onnx, distribution)
            threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
            started.callback(self._server.server_close)
            started.callback(self._server.shutdown)
            folder = started.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            address = f"http://127.0.0.1:{self._server.server_port}/?level={level}&threads={self.threads}"
            self._browser = started.enter_context(
                subprocess.Popen(
                    [browser, *OPTIONS, f"--user-data-dir={folder}", address],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            started.callback(self._browser.terminate)
            self._describe(self._receive().head)
            self._started = started.pop_all()

    def _describe(self, head: dict[str, Any]) -> None:
        if "error" in head:
            raise RuntimeFailedError(f"onnxruntime-web does not load the model: {head['error']}")
        used = head["workers"] + 1
        if used != self.threads:
            raise RuntimeUnavailableError(f"onnxruntime-web runs on {used} threads instead of {self.threads}")
        self.version = head["version"]
        self.provider = f"WebAssembly, {used} thread{'s' if used > 1 else ''}, {head['browser']}"

    def predict(self, images: NDArray[np.uint8], output: str = OUTPUT) -> NDArray[np.floating]:
        return self.predict_all(images, len(images), output)

    def predict_all(
        self, images: NDArray[np.uint8], batch_size: int, output: str = OUTPUT
    ) -> NDArray[np.floating]:
        self._server.tasks.put(Message(task(images, batch_size, output), images.tobytes()))
        return answers(*self._receive())

    def close(self) -> None:
        self._started.close()

    def _receive(self) -> "Message":
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                return self._server.answers.get(timeout=0.5)
            if self._browser.poll() is not None:
                raise RuntimeFailedError(f"the browser has ended with code {self._browser.returncode}")
        raise RuntimeFailedError(f"the browser has not answered for {SECONDS} seconds")


class Message(NamedTuple):
    head: dict[str, Any]
    body: bytes


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, model: bytes, distribution: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.distribution = model, distribution
        self.tasks: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def handle_error(self, request: object, client_address: object) -> None:
        # When the browser ends, the page is still waiting for a task.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """The page, its scripts, the model, and tasks; answers come back by POST."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(urlsplit(self.path).path)
        if path.name == "task":
            try:
                task = self.server.tasks.get(timeout=5)
            except queue.Empty:
                self._send(204, b"")
            else:
                self._send(200, task.body, head=quote(json.dumps(task.head)))
        elif path.name == "model.onnx":
            self._send(200, self.server.model)
        else:
            folder = self.server.distribution if path.parent.name == "ort" else FOLDER
            file = folder / (path.name or "page.html")
            if file.suffix in TYPES and file.is_file():
                self._send(200, file.read_bytes(), TYPES[file.suffix])
            else:
                self._send(404, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.answers.put(Message(json.loads(unquote(self.headers["X-Head"])), body))
        self._send(204, b"")

    def _send(self, status: int, body: bytes, kind: str = "application/octet-stream", head: str = "") -> None:
        self.send_response(status)
        # Without these two, a page gets no memory that threads share.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        if head:
            self.send_header("X-Head", head)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are no news."""
