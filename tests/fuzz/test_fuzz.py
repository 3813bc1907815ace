"""A short form of `make fuzz`, with every input that was a finding once."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzz.engine import changed
from tests.fuzz.targets import TARGETS, Target, describe, kept

SHORT = {"parameters": 120, "sweep": 100}  # reading YAML takes a while
FOUND = [(name, path) for name in TARGETS for path in kept(name)]


@pytest.mark.parametrize(("name", "path"), FOUND, ids=[f"{name}-{path.name}" for name, path in FOUND])
def test_what_was_found_is_mended(name: str, path: Path) -> None:
    assert TARGETS[name].finding(path.read_bytes()) is None


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs_end_in_a_line(name: str, chance: random.Random) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    for _ in range(SHORT.get(name, 200)):
        data = changed(chance, seeds, target.words)
        finding = target.finding(data)
        assert finding is None, f"{finding}\n{describe(data)}\nDIGITS_SEED={os.environ['DIGITS_SEED']}"


@pytest.mark.parametrize("name", TARGETS)
def test_unchanged_inputs_are_valid(name: str) -> None:
    """Or the changes would all be of something that is refused at the first byte."""
    for seed in TARGETS[name].seeds():
        if (name, seed) not in INVALID:
            TARGETS[name].run(seed)


INVALID: Sequence[tuple[str, bytes]] = (("gzip", b"plain"),)


def test_a_planted_fault_is_found(chance: random.Random) -> None:
    target = Target(lambda data: data.index(b"e"), lambda: [b"the only word with an e"])
    found = {target.finding(changed(chance, target.seeds(), target.words)) for _ in range(2000)}
    assert found == {None, "ValueError: subsection not found"}
