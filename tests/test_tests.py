"""What tests rely on: parts for all processes, a free port, random moments, and which tests are quick."""

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import chance as chance_module
from tests import durations
from tests.flows.output import own_tracebacks
from tests.patience import limited
from tests.project import ROOT, copy_project
from tests.shared import FOLDER, NUMBERS, build_once, first_of_kernel, free_port

LEAKING = """
import pytest
class Knot:
    def __init__(self):
        self.itself, self.file = self, open(__file__)
def test_leaves_a_file_open():
    Knot()
def test_is_not_to_blame():
    import gc
    gc.collect()
"""


def pytest_on(path: Path, *arguments: str, **environment: str) -> str:
    """What pytest says of a test file with the plug-ins of this project."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.costly"]
    plugins = [word for name in ("shared", "order", "chance", "fixtures") for word in ("-p", f"tests.{name}")]
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(path.parent), *arguments, str(path)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "DIGITS"))}
    done = subprocess.run(
        [*command, *plugins, *options],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_what_all_need_is_built_by_one(tmp_path: Path) -> None:
    built: list[str] = []
    others = threading.Barrier(3)

    def ask() -> None:
        others.wait()
        folder = build_once(tmp_path, "part", lambda folder: built.append(folder.name))
        assert folder == tmp_path / "part"

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == ["part"]


def test_what_could_not_be_built_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        build_once(tmp_path, "part", lambda _: 1 // 0)
    with pytest.raises(AssertionError, match="could not build part: integer division"):
        build_once(tmp_path, "part", lambda _: None)


def test_a_build_that_was_killed_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part/half").touch()
    assert list(build_once(tmp_path, "part", lambda _: None).iterdir()) == []


def test_a_server_for_all_ends_with_a_run_that_is_killed(
    tmp_path: Path, processes_gone: Callable[[Path], None]
) -> None:
    script = f"""
import os
from pathlib import Path
from tests.shared import FIFO, FOLDER, start_for_all
os.environ[FOLDER] = {str(tmp_path)!r}
os.mkfifo({str(tmp_path)!r} + "/" + FIFO)
fifo = os.open({str(tmp_path)!r} + "/" + FIFO, os.O_RDWR)
start_for_all(["sh", "-c", "echo $$ >> pids; exec sleep 100000"], Path({str(tmp_path)!r}), {{}}, Path("log"))
while not Path("pids").exists() or not Path("pids").read_text().endswith("\\n"):
    pass
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment)
    assert done.returncode == -9
    processes_gone(tmp_path / "pids")
    processes_gone(tmp_path / NUMBERS)


def test_a_port_is_free_and_given_once() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert max(ports) < first_of_kernel()
    for port in ports:
        Path(os.environ[FOLDER], f"port-{port}").unlink()


def test_moments_are_of_the_seed(
    chance: random.Random, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = os.environ[chance_module.SEED]
    assert chance.random() == random.Random(f"{seed} {request.node.name}").random()
    monkeypatch.delenv(chance_module.SEED)
    chance_module.pytest_configure()
    assert os.environ[chance_module.SEED] != seed
    monkeypatch.setenv(chance_module.SEED, "5")
    chance_module.pytest_configure()
    assert chance_module.pytest_report_header() == "random moments: DIGITS_SEED=5"


def test_a_failure_says_its_seed(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(chance):\n    assert chance.random() > 1\n")
    assert "again: DIGITS_SEED=7" in pytest_on(tmp_path / "test_it.py", DIGITS_SEED="7")


def test_a_file_that_is_left_open_fails_the_test_that_opened_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(LEAKING)
    summary = pytest_on(tmp_path / "test_it.py").partition("short test summary")[2]
    assert "::test_leaves_a_file_open" in summary
    assert "2 passed, 1 error" in summary


def test_a_costly_test_is_known_by_its_fixtures(tmp_path: Path) -> None:
    text = "def test_one(engine): pass\ndef test_two(raw_data): pass\ndef test_three(tmp_path): pass\n"
    (tmp_path / "test_it.py").write_text(text)
    said = pytest_on(tmp_path / "test_it.py", "-m", "not costly", "--collect-only", "-q")
    assert "test_it.py::test_three" in said
    assert "1/3 tests collected" in said


def test_a_quick_test_may_use_nothing_costly(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is for tests with the fixture `costly`"):
        copy_project(tmp_path / "project", tmp_path / "home")


def test_only_tracebacks_through_code_of_ours_count() -> None:
    head = "12:00:00.000 | ERROR | prefect.events - trouble\nTraceback (most recent call last):\n"
    theirs = f'{head}  File "/v/site-packages/prefect/a.py", line 3, in run\n    go()\nOSError: gone\n'
    ours = theirs.replace("/v/site-packages/prefect/a.py", "/home/me/digits/flows/pipeline.py")
    assert own_tracebacks(theirs) == []
    assert len(own_tracebacks(theirs + ours)) == 1


def test_a_limit_grows_until_the_stage_has_begun() -> None:
    limits: list[int] = []
    assert limited(limits.append, lambda: len(limits) == 3) == (16, None)
    assert limits == [4, 8, 16]


def test_the_slowest_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "FILE", tmp_path / "durations.json")
    split = f"{min(durations.SPLIT)}::test_it"
    short = {f"tests/a.py::{name}": 0.39 for name in ("one", "two", "three", "four", "five")}
    durations.write({**short, f"{split}[x]": 3, f"{split}[y]": 5})
    found = durations.read()
    assert list(found.units.items()) == [(split, 4), ("tests/a.py", 2)]
    assert found.long == [split]
