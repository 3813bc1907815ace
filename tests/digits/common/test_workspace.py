"""A person's `dvc repro` and a pipeline in one folder: one of them works, and the other is told."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace
from tests.project import ROOT, MakeWorkspace, run_stage

# As a stage of this project begins; then it says who it is and waits for a file.
STAGE = """
import os, sys, time
from digits.common.errors import DigitsError
from digits.common import workspace
try:
    workspace.claim()
except DigitsError as error:
    sys.exit(f"error: {error}")
with open("log", "a") as log:
    log.write(f"{sys.argv[1]} {os.getpid()}\\n")
while not os.path.exists(f"go-{sys.argv[1]}"):
    time.sleep(0.02)
"""


@pytest.fixture
def workspace(make_workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    python = sys.executable
    made = make_workspace({name: f"{python} stage.py {name}" for name in ("first", "second")})
    (made.folder / "stage.py").write_text(STAGE)
    return made


def repro(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dvc", "repro", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def begun(stage: str) -> int:
    """Wait until this stage is at work; return its process."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        lines = Path("log").read_text().splitlines() if Path("log").exists() else []
        for line in lines:
            if line.split()[0] == stage:
                return int(line.split()[1])
        time.sleep(0.02)
    pytest.fail(f"{stage} did not begin")


def test_a_pipeline_waits_for_the_whole_of_a_persons_dvc(workspace: Workspace) -> None:
    said: list[str] = []
    with repro() as person:
        begun("first")

        def wait(line: str) -> None:
            said.append(line)
            Path("go-first").touch()
            begun("second")  # between its stages, the workspace was still taken
            Path("go-second").touch()

        with workspace.lock(wait):
            assert person.wait() == 0
            assert run_stage(workspace, "first", said.append).outcome is Outcome.RAN
    assert said[0].startswith(f"dvc repro of process {person.pid} on ")
    assert said[0].endswith("is at work in this workspace; waiting for its end")


def test_a_persons_dvc_ends_at_once_while_a_pipeline_is_at_work(workspace: Workspace) -> None:
    with workspace.lock(print), repro() as person:
        assert person.stdout is not None
        output = person.stdout.read()
        assert person.wait() != 0
    assert f"error: the pipeline of process {os.getpid()} on " in output
    assert "try again when it has ended" in output
    assert not Path("log").exists()


def test_the_stages_of_a_pipeline_work_under_its_lock(workspace: Workspace) -> None:
    Path("go-first").touch()
    with workspace.lock(print):
        assert run_stage(workspace, "first", print).outcome is Outcome.RAN


def test_a_killed_dvc_leaves_neither_stage_nor_lock(
    workspace: Workspace, processes_gone: Callable[[Path], None]
) -> None:
    with repro() as person:
        stage = begun("first")
        person.kill()
    Path("pids").write_text(str(stage))
    processes_gone(Path("pids"))
    Path("go-first").touch()
    with workspace.lock(print):
        assert run_stage(workspace, "first", print).outcome is Outcome.RAN


def test_a_stage_alone_takes_the_workspace_for_itself(workspace: Workspace) -> None:
    with subprocess.Popen([sys.executable, "stage.py", "first"]) as stage:
        begun("first")
        done = subprocess.run([sys.executable, "stage.py", "second"], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: a stage of process {stage.pid} on ")
        Path("go-first").touch()
        assert stage.wait() == 0


def test_where_there_is_no_dvc_nothing_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code = "from digits.common import workspace; workspace.claim()"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert list(tmp_path.iterdir()) == []
