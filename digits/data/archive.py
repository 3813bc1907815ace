"""A tar archive from outside, read a block at a time."""

import io
import tarfile
from collections.abc import Callable, Iterator
from typing import Any, Protocol


class Readable(Protocol):
    """Something to read from, as a file or an answer from the web."""

    def read(self, size: int, /) -> bytes: ...


NO_CONTENT = (
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE),
    *(tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE),
)


def members(archive: Readable, check: Callable[[], object]) -> Iterator[tuple[tarfile.TarInfo, "_Part"]]:
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
