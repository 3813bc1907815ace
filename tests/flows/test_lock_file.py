"""Whether a dvc.lock is the beginning of one that was being written."""

import random
import re

import pytest

from prefect_dvc.lock_file import NEW, may_be_cut
from tests.project import ROOT

ENTRY = """  {name}:
    cmd: python -m {name}
    deps:
    - path: source
      hash: md5
      md5: {digest}
      size: 4
    outs:
    - path: {name}
      hash: md5
      md5: {digest}
      size: 4
"""


def lock_text(entries: dict[str, str]) -> bytes:
    """A dvc.lock as DVC writes it, of stages and what stands for their content."""
    made = (ENTRY.format(name=name, digest=digest * 32) for name, digest in entries.items())
    return "".join([NEW.decode(), *made]).encode()


BEFORE = {"one": "a", "two": "b", "three": "c"}


@pytest.mark.parametrize("changed", [*BEFORE, "four"])
def test_no_beginning_of_a_lock_file_passes_for_the_whole(changed: str) -> None:
    before, after = lock_text(BEFORE), lock_text(BEFORE | {changed: "d"})
    passed = [end for end in range(len(after)) if not may_be_cut(after[:end], before)]
    assert passed == ([len(before)] if changed == "four" else []), "the one before is whole"


def test_no_beginning_of_the_first_lock_file_passes_for_the_whole() -> None:
    after = lock_text({"one": "a"})
    assert all(may_be_cut(after[:end], b"") for end in range(len(after)))


def test_no_beginning_of_this_projects_lock_file_passes_for_the_whole() -> None:
    whole = (ROOT / "dvc.lock").read_bytes()
    ends = random.Random(1).sample(range(len(whole)), 20)
    ends += [found.end() for found in re.finditer(rb"\n", whole[:-1])][::100]
    assert all(may_be_cut(whole[:end], whole) for end in ends)


@pytest.mark.parametrize("changed", ["one", "two"])
def test_a_stage_before_the_last_is_known_to_be_written(changed: str) -> None:
    assert not may_be_cut(lock_text(BEFORE | {changed: "d"}), lock_text(BEFORE))


def test_what_git_brings_is_nobodys_beginning() -> None:
    before = lock_text(BEFORE)
    assert not may_be_cut(lock_text(dict.fromkeys(BEFORE, "d")), before)
    assert not may_be_cut(lock_text({"five": "a", "six": "a"}), before)
    assert not may_be_cut(before.replace(b"  two:", b"<<<<<<< HEAD\n  other:"), before)


def test_a_layout_that_dvc_does_not_keep_makes_no_difference() -> None:
    before = lock_text(BEFORE).replace(b"    - path", b"      - path").replace(b"      hash", b"        hash")
    before = before.replace(b"      md5", b"        md5").replace(b"      size", b"        size")
    after = lock_text(BEFORE | {"two": "d"})
    assert all(may_be_cut(after[:end], before) for end in range(0, len(after), 7))


def test_several_stages_at_once_change_several_entries() -> None:
    before = lock_text(BEFORE)
    first = lock_text(BEFORE | {"one": "d"})
    both = lock_text(BEFORE | {"one": "d", "two": "d"})
    for end in range(len(both)):
        assert may_be_cut(both[:end], before, 2) == (end < len(both)), end
    three = both.index(b"  three:")
    assert may_be_cut(first[:three], before, 1)
    assert not may_be_cut(both[:three], before, 1), "two entries are of two stages"
    assert not may_be_cut(lock_text(dict.fromkeys(BEFORE, "d")), before, 2)
