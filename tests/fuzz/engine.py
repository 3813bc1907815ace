"""Changes of valid inputs: bytes that are flipped, cut, doubled and put in, lines that are moved."""

import random
from collections.abc import Callable, Sequence

INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
Change = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def _place(chance: random.Random, data: bytearray) -> slice:
    start = chance.randrange(len(data) + 1)
    return slice(start, start + chance.choice((1, 1, 2, 4, 8, chance.randrange(1, len(data) + 2))))


def _flip(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _number(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    size, start = chance.choice((1, 2, 4, 8)), chance.randrange(len(data) + 1)
    number = chance.choice(INTEGERS) % 256**size
    data[start : start + size] = number.to_bytes(size, chance.choice(("little", "big")))


def _cut(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    del data[_place(chance, data)]


def _double(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    piece = data[_place(chance, data)]
    start = chance.randrange(len(data) + 1)
    data[start:start] = piece * chance.choice((1, 1, 1, 2, 50))


def _word(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    place = _place(chance, data) if chance.random() < 0.5 else slice(*[chance.randrange(len(data) + 1)] * 2)
    data[place] = chance.choice(words)


def _line(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    lines = bytes(data).splitlines(keepends=True)
    if lines:
        lines.insert(chance.randrange(len(lines) + 1), lines.pop(chance.randrange(len(lines))))
        data[:] = b"".join(lines)


CHANGES: tuple[Change, ...] = (_flip, _number, _cut, _double, _word, _word, _line)
LONGEST = 1 << 20


def changed(chance: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of `seeds` after a few changes."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        chance.choice(CHANGES)(chance, data, words)
    return bytes(data[:LONGEST])
