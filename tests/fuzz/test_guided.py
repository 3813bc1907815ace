"""Coverage leads where chance does not: to a fault behind several conditions."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.engine import changed
from tests.patience import PATIENCE
from tests.project import ROOT

PLANTED = """
import sys
from pathlib import Path

import atheris

from tests.fuzz import attempts, guided, targets


@atheris.instrument_func
def planted(data):
    if {condition}:
        {fault}


attempts.ENOUGH = attempts.SECONDS = 1
targets.TARGETS["planted"] = targets.Target(planted, lambda: [b"0000"])
guided.fuzz("planted", int(sys.argv[2]), 1, Path(sys.argv[1]))
"""


HIDDEN = 'data[:1] == b"D" and data[1:2] == b"V" and data[2:3] == b"C"'


def run(
    folder: Path, fault: str, condition: str = 'data[:1] == b"D"', runs: int = 3_000_000
) -> subprocess.CompletedProcess[str]:
    if not importlib.util.find_spec("atheris"):
        pytest.skip("atheris is not here, which is for Linux on x86-64")
    command = [sys.executable, "-c", PLANTED.format(condition=condition, fault=fault), str(folder), str(runs)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


def test_a_fault_that_chance_does_not_reach_is_found_and_kept(tmp_path: Path, chance: random.Random) -> None:
    assert not any(changed(chance, [b"0000"], (b"\0",)).startswith(b"DVC") for _ in range(100_000))
    done = run(tmp_path, "raise ValueError(f'planted {len(data)}')", HIDDEN)
    assert done.returncode == 1, done.stderr
    assert "planted: ValueError: planted" in done.stdout
    found = [path.read_bytes() for path in (tmp_path / "seeds/planted").iterdir()]
    assert found
    assert all(data.startswith(b"DVC") for data in found)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("while True: pass", "no end after 1 seconds"), ("x = bytes(2**33)", "MemoryError")],
)
def test_what_takes_too_long_or_too_much_is_found(tmp_path: Path, fault: str, said: str) -> None:
    done = run(tmp_path, fault)
    assert done.returncode == 1, done.stderr
    assert said in done.stdout


def test_a_process_that_dies_leaves_the_input_that_killed_it(tmp_path: Path) -> None:
    done = run(tmp_path, "import ctypes; ctypes.string_at(0)")
    assert done.returncode not in (0, 1)
    (found,) = (tmp_path / "seeds/planted").iterdir()
    assert found.read_bytes().startswith(b"D")


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    done = run(tmp_path, "pass", runs=20_000)
    assert done.returncode == 0, done.stderr
    assert "planted: 20,000 inputs in " in done.stdout
    assert " 0 findings" in done.stdout
    assert not list((tmp_path / "seeds/planted").iterdir())
