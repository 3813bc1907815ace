"""Where a file differs from the one that was published, of which the hashes of its blocks are known."""

import hashlib
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

from flows.provenance import BLOCK


def where(file: BufferedReader, annotations: Any, searches: Iterator[int]) -> str:
    """Its places in words that follow the name of the file, as far as they can be known.

    Args:
        annotations: of the file, as its provenance has them.
        searches: has an element for each byte that may still be searched for, which takes seconds.
    """
    known = annotations if isinstance(annotations, dict) else {}
    before, size = known.get("blocks"), known.get("bytes")
    if not isinstance(before, list) or not isinstance(size, int) or known.get("blockSize") != BLOCK:
        return ""
    if len(before) != -(-size // BLOCK):
        return ""
    now = [hashlib.sha256(block).hexdigest() for block in iter(lambda: file.read(BLOCK), b"")]
    length = file.tell()
    changed = [i for i in range(max(len(before), len(now))) if before[i : i + 1] != now[i : i + 1]]
    if not changed:
        return ""
    first = changed[0] * BLOCK
    if length != size:
        return f": it has {length:,} bytes and had {size:,}, and differs at or after byte {first:,}"
    if len(changed) == 1 and next(searches, None) is not None:
        file.seek(first)
        block = file.read(BLOCK)
        if byte := _byte(block, before[changed[0]]):
            place, was = byte
            return f": byte {first + place:,} is 0x{block[place]:02x} and was 0x{was:02x}"
    last = min((changed[-1] + 1) * BLOCK, size) - 1
    return f" between bytes {first:,} and {last:,}"


def _byte(block: bytes, digest: str) -> tuple[int, int] | None:
    """The place and the value of the one byte that gives the block its hash again; seconds of search."""
    head = hashlib.sha256()
    for place in range(len(block)):
        tail = block[place + 1 :]
        for was in range(256):
            tried = head.copy()
            tried.update(bytes([was]) + tail)
            if tried.hexdigest() == digest:
                return place, was
        head.update(block[place : place + 1])
    return None
