"""Disks that are full or read-only, folders without permission, many runs at once.

docs/reliability.md has all faults; the tests of the others stand there.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flows.pipeline import pipeline
from flows.workspace import workspace_of
from prefect_dvc.project import ProjectError
from prefect_dvc.transcript import Outcome
from tests.flows import releasing, toy
from tests.flows.interrupting import SET, Template, all_is_as_if_nothing_had_been, flow
from tests.flows.toy import DOUBLING
from tests.patience import until
from tests.project import ROOT, MakeWorkspace, run_stage

MAKES = 300_000
"""Bytes, twice the source's."""


@pytest.fixture
def disk(make_workspace: MakeWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project on a small disk of its own, in which the test then is."""
    made = make_workspace(DOUBLING).folder
    (made / "source").write_bytes(b"a" * (MAKES // 2))
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        shutil.copytree(made, disk / "project")
        monkeypatch.chdir(disk / "project")
        yield disk
    finally:
        os.chdir("/")
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("room", [MAKES // 2, MAKES * 3 // 2], ids=["a stage", "DVC's cache"])
def test_a_full_disk_is_told_and_the_next_run_goes_on(disk: Path, room: int) -> None:
    workspace, said = workspace_of(Path.cwd()), list[str]()
    ballast = disk / "ballast"
    ballast.write_bytes(b"0" * (shutil.disk_usage(disk).free - room))
    assert run_stage(workspace, "make", said.append).outcome is Outcome.FAILED
    assert any("No space left on device" in line for line in said)
    ballast.unlink()
    assert run_stage(workspace, "make", said.append).outcome is Outcome.RAN
    assert Path("made").read_bytes() == b"a" * MAKES


WITHOUT_LINKS = """
from pathlib import Path
from flows import release
from flows.workspace import model_of, workspace_of
from prefect_dvc.project import ProjectError
from tests.project import run_stage
workspace = workspace_of(Path.cwd())
print(*(run_stage(workspace, name, lambda line: None).outcome.value for name in ("export", "evaluate")))
Path("models/model.onnx").unlink()
print(run_stage(workspace, "export", lambda line: None).outcome.value)
try:
    release.publish(workspace.folder, model_of(workspace.project), print)
except ProjectError as error:
    print(error)
"""


def test_where_there_are_no_links_all_works_but_the_release(make_workspace: MakeWorkspace) -> None:
    folder = make_workspace({}).folder
    releasing.write(folder)
    refused = [sys.executable, "-m", "tests.flows.linkless"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for kind in ([], ["-s"]):
        link = subprocess.run(
            [*refused, "ln", *kind, "dvc.yaml", "link"], env=environment, capture_output=True
        )
        assert b"Operation not permitted" in link.stderr
    found = subprocess.run(
        [*refused, sys.executable, "-c", WITHOUT_LINKS], env=environment, capture_output=True, text=True
    )
    *outcomes, last = found.stdout.splitlines()
    assert outcomes == [f"{Outcome.RAN.value} {Outcome.RAN.value}", Outcome.RESTORED.value], found.stderr
    assert last.startswith("models/release would be a symbolic link, and the file system of ")
    assert not Path("models/release").exists()


@pytest.mark.usefixtures("prefect_server")
def test_a_workspace_that_is_read_only_is_one_line(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for parameters in ({}, {"overrides": {"train.epochs": 7}}):
        state: Any = pipeline(**parameters, return_state=True)
        assert state.is_failed()
        assert state.message.startswith(f"error: {Path.cwd()}/.dvc/tmp/pipeline.lock: Read-only file system")


def test_a_workspace_of_somebody_else_is_one_line(make_workspace: MakeWorkspace) -> None:
    if os.geteuid():
        pytest.skip("only root can be somebody else")
    workspace = make_workspace(DOUBLING)
    os.seteuid(65534)
    try:
        with pytest.raises(ProjectError, match="Permission denied; a run writes"), workspace.lock(print):
            raise AssertionError("it is not locked")
    finally:
        os.seteuid(0)


TURN = """
import sys, time
from pathlib import Path
from prefect_dvc.locking import take
with take(Path.cwd(), lambda line: None), open("turns", "a", 0o644) as file:
    print("begin", sys.argv[1], file=file, flush=True)
    time.sleep(0.01)
    print("end", sys.argv[1], file=file, flush=True)
"""


def test_fifty_at_once_work_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/tmp").mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    all_at_once = [
        subprocess.Popen([sys.executable, "-c", TURN, str(number)], cwd=tmp_path, env=environment)
        for number in range(50)
    ]
    assert [process.wait() for process in all_at_once] == [0] * 50
    lines = (tmp_path / "turns").read_text().splitlines()
    assert [line.replace("begin", "end") for line in lines[::2]] == lines[1::2]
    assert len(set(lines)) == 100


@pytest.mark.parametrize(("number", "own"), [(2, True), (10, False)], ids=["own servers", "one server"])
def test_of_whole_runs_at_once_one_does_the_work(
    small: Template, used_home: Path, tmp_path: Path, number: int, own: bool
) -> None:
    project = small.copy(tmp_path / "project")
    if own:
        del project.env["PREFECT_API_URL"]
        project.env["PREFECT_HOME"] = str(used_home)
    outputs = [tmp_path / str(each) for each in range(number)]
    with ExitStack() as at_work:
        runs = []
        for output in outputs:
            file = at_work.enter_context(output.open("w"))
            run = subprocess.Popen(flow(*SET), cwd=project.folder, env=project.env, stdout=file, stderr=file)
            runs.append(at_work.enter_context(run))
        waiting = f"{number - 1} of {number} do not wait"
        until(
            lambda: sum("waiting for its end" in each.read_text() for each in outputs) == number - 1, waiting
        )
        (project.folder / "go").touch()
    said = [output.read_text() for output in outputs]
    assert [run.returncode for run in runs] == [0] * number, said
    for stage in toy.STAGES:
        assert sum(one.count(f"Running stage '{stage}'") for one in said) == 1, stage
    all_is_as_if_nothing_had_been(small, project)


def moved(folder: Path) -> Path:
    return folder.rename(folder.with_name("other"))


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(folder, folder.with_name("other"), symlinks=True))


@pytest.mark.parametrize(("change", "outcome"), [(moved, Outcome.FAILED), (copied, Outcome.RAN)])
def test_a_workspace_is_moved_or_copied_while_a_stage_is_at_work(
    make_workspace: MakeWorkspace, change: Callable[[Path], Path], outcome: Outcome
) -> None:
    wait = "echo waiting; until test -e ../go; do sleep 0.05; done; cat source > made"
    workspace = make_workspace({"make": {"cmd": wait, "deps": ["source"], "outs": ["made"]}})
    Path("source").write_text("right")

    def log(line: str) -> None:
        if line == "waiting":
            others.append(change(workspace.folder))
            (workspace.folder.parent / "go").touch()

    others: list[Path] = []
    assert run_stage(workspace, "make", log).outcome is outcome
    assert workspace.folder.exists() == (change is copied), "nothing is made in the place that it left"
    os.chdir(others[0])
    assert run_stage(workspace_of(others[0]), "make", print).outcome is Outcome.RAN
    assert Path("made").read_text() == "right"


def test_each_row_of_the_table_has_its_test() -> None:
    rows = (ROOT / "docs/reliability.md").read_text().splitlines()
    test = re.compile(r"`((?:prefect_dvc/)?tests/[\w/.]+)::(\w+)` \|$")
    named = [test.findall(row) for row in rows if row.startswith("| ")][1:]
    cited = [found[0] for found in named if found]
    assert len(cited) > 25
    assert len(named) - len(cited) == 1, "one row has the test of the row before"
    for file, name in cited:
        assert f"\ndef {name}(" in (ROOT / file).read_text(), f"{file} has no {name}"
