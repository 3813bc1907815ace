"""Disks that are full or read-only, folders without permission, many runs at once, clocks that are changed.

docs/reliability.md has all faults; the tests of the others stand there.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prefect.server.schemas.schedules import CronSchedule
from ruamel.yaml import YAML

from flows.pipeline import pipeline
from flows.workspace import workspace_of
from prefect_dvc.project import ProjectError
from prefect_dvc.transcript import Outcome
from tests.flows import releasing
from tests.project import ROOT, MakeWorkspace, run_stage

STAGES: dict[str, object] = {
    "make": {"cmd": "cat source source > made", "deps": ["source"], "outs": ["made"]},
}
MAKES = 300_000
"""Bytes, twice the source's."""


@pytest.fixture
def disk(make_workspace: MakeWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project on a small disk of its own, in which the test then is."""
    made = make_workspace(STAGES).folder
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
    workspace = make_workspace(STAGES)
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


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_there_is_one_run_each_night_whatever_the_clock_does(zone: str) -> None:
    """The nightly schedule over a year, in zones that change their clocks by an hour and by half of one."""
    deployments = YAML(typ="safe").load(ROOT / "prefect.yaml")["deployments"]
    (cron,) = {each["schedules"][0]["cron"] for each in deployments if each["name"].startswith("nightly")}
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
    dates = asyncio.run(CronSchedule(cron=cron, timezone=zone).get_dates(n=365, start=start))
    nights = [date.astimezone(ZoneInfo(zone)).date() for date in dates]
    assert (nights[0], nights[-1]) == (start.date(), start.date() + timedelta(364))
    assert len(set(nights)) == len(set(dates)) == 365


def test_a_clock_that_jumps_hides_no_change(make_workspace: MakeWorkspace) -> None:
    workspace, source = make_workspace(STAGES), Path("source")
    now = time.time()
    for content, year in (("one", 0), ("two", -1), ("six", 1)):  # as long as before
        source.write_text(content)
        os.utime(source, (now + year * 365 * 86_400,) * 2)
        assert run_stage(workspace, "make", print).outcome is Outcome.RAN
        assert Path("made").read_text() == content * 2


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
