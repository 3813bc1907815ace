"""Web addresses that are left when a time is over, whatever of their answers trickles."""

import http.client
import socket
import threading
import urllib.request
from contextlib import suppress
from typing import IO, Any, Self


class Limit:
    """Shuts the connections of this block down when its time is over, whatever they are in the midst of.

    The timeout of a socket begins anew with every byte, and http.client reads on in many places: answers,
    headers, chunks, trailers. All of them take a connection that is shut down for one that has ended.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.over = seconds, False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def add(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.append(connection)
            if self.over:
                _shut_down(connection)

    def _end(self) -> None:
        with self._lock:
            self.over = True
            for each in self._sockets:
                _shut_down(each)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        # Of TLS, too, the connection below: SSLSocket.shutdown would let what follows be read undeciphered.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Http(http.client.HTTPConnection):
    """Its socket is put under a limit as soon as there is one: before a proxy or TLS is greeted."""

    limit: Limit
    _sock: Any = None

    @property
    def sock(self) -> Any:
        return self._sock

    @sock.setter
    def sock(self, connection: Any) -> None:
        self._sock = connection
        if connection is not None:
            self.limit.add(connection)


class _Https(_Http, http.client.HTTPSConnection):
    pass


class _HttpHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, limit: Limit) -> None:
        super().__init__()
        self._limit = limit

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._limited(_Http), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._limited(_Https), request)

    def _limited(self, kind: type[_Http]) -> type[_Http]:
        return type(kind.__name__, (kind,), {"limit": self._limit})


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        fp.close()  # or urllib would take all of it into memory, however much it is
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener(limit: Limit) -> urllib.request.OpenerDirector:
    """As urllib's own, but without FTP, to which an answer could lead: its connections have no limit."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HttpHandler(limit),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.FileHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
