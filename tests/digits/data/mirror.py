"""A mirror on this machine that hands out files, or fails to; and two files for it."""

import gzip
import hashlib
import random
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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


PATIENCE = 60.0
"""Seconds after which even an endless answer ends, so that what waits for it fails, and does not hang."""


@contextmanager
def endless(
    *answers: Sequence[bytes], pause: float = 0.05, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The address of a server that answers each request with the next of `answers`, the last one ever again.

    An answer is sent part by part, and its last part over and over.
    """
    done = threading.Event()
    patience = threading.Timer(PATIENCE, done.set)
    patience.start()
    given = iter(answers)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(plain: socket.socket, parts: Sequence[bytes]) -> None:
        with (
            plain,
            suppress(OSError),
            tls.wrap_socket(plain, server_side=True) if tls else plain as connection,
        ):
            connection.recv(4096)
            connection.sendall(b"".join(parts[:-1]))
            while not done.wait(pause):
                connection.sendall(parts[-1])

    def listen() -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                connection, parts = listener.accept()[0], next(given, answers[-1])
                threading.Thread(target=answer, args=(connection, parts), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        patience.cancel()
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
