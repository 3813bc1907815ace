"""`make profile`: what opens in a browser, offline."""

import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks import profiling
from benchmarks.project import PYTHON, BenchError

WORK = """
import subprocess, sys
def busy():
    return sum(number * number for number in range(8_000_000))
busy()
if len(sys.argv) == 1:
    subprocess.run([sys.executable, __file__, "child"], check=True)
"""


pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="py-spy needs root there")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(WORK)
    return path


def test_a_flame_graph_has_the_functions_of_all_processes(program: Path, tmp_path: Path) -> None:
    profiling.record("svg", 200, [PYTHON, str(program)], tmp_path / "found.svg", tmp_path, {})
    text = (tmp_path / "found.svg").read_text()
    # What waits for them is seen while it starts, or not.
    assert len(set(re.findall(r"process (\d+)", text))) in (2, 3), "the program and its child"
    assert "busy (program.py" in text
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text), "it opens without a network"


def test_a_trace_has_them_in_time(program: Path, tmp_path: Path) -> None:
    profiling.record("json", 200, [PYTHON, str(program)], tmp_path / "found.json", tmp_path, {})
    events = json.loads((tmp_path / "found.json").read_text())
    assert len({event["pid"] for event in events if event["name"].startswith("busy")}) == 2


def test_a_program_that_fails_is_told(tmp_path: Path) -> None:
    long_enough = "import time; end = time.time() + 0.5\nwhile time.time() < end: pass\n"
    command = [PYTHON, "-c", long_enough + "raise SystemExit('why it failed')"]
    with pytest.raises(BenchError, match="why it failed"):
        profiling.record("svg", 100, command, tmp_path / "found.svg", tmp_path, {})


def test_the_page_leads_to_what_is_there() -> None:
    text = profiling.page(["step.svg", "job.json"])
    assert re.findall(r'href="([^"]*)"', text) == ["step.svg", "job.json"]
    assert "http" not in text
