"""A mirror on this machine that hands out files, or fails to; and two files for it."""

import gzip
import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from digits.data.download import RawFile

CONTENT = {
    "images": bytes(range(256)) * 40,
    "labels": random.Random(1).randbytes(900),
}
FILES = [RawFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items()]
PACKED = {f"{name}.gz": gzip.compress(data) for name, data in CONTENT.items()}


def assert_complete(folder: Path) -> None:
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT


@dataclass
class Server:
    """Hands out `files`; the first answers are `statuses` instead, if there are any."""

    files: dict[str, bytes]
    statuses: list[int] = field(default_factory=list)
    stated_length: int | str | None = None
    leads_to: str | None = None
    silent: bool = False
    requests: list[str] = field(default_factory=list)


@contextmanager
def serving(server: Server) -> Iterator[str]:
    """The address under which the server answers within this block."""
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            server.requests.append(name)
            if server.silent:
                done.wait(30)
                return
            if server.leads_to:
                self.send_response(302)
                self.send_header("Location", server.leads_to)
                self.end_headers()
                return
            status = server.statuses.pop(0) if server.statuses else 200 if name in server.files else 404
            body = server.files.get(name, b"")
            self.send_response(status)
            self.send_header("Content-Length", str(server.stated_length or len(body)))
            self.end_headers()
            if status == 200:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/"
        finally:
            done.set()
            http.shutdown()
