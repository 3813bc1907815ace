"""Clocks that are changed, before and during runs."""

import asyncio
import os
import shutil
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from prefect.server.schemas.schedules import CronSchedule
from ruamel.yaml import YAML

from flows.environment import ADDED
from prefect_dvc.transcript import Outcome
from tests.flows import interrupting
from tests.flows.interrupting import LAST, SET, Template, all_is_as_if_nothing_had_been, flow
from tests.flows.output import own_tracebacks
from tests.flows.toy import DOUBLING
from tests.project import ROOT, MakeWorkspace, run_stage


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
    workspace, source = make_workspace(DOUBLING), Path("source")
    now = time.time()
    for content, year in (("one", 0), ("two", -1), ("six", 1)):  # as long as before
        source.write_text(content)
        os.utime(source, (now + year * 365 * 86_400,) * 2)
        assert run_stage(workspace, "make", print).outcome is Outcome.RAN
        assert Path("made").read_text() == content * 2


@pytest.fixture
def clock(tmp_path: Path) -> dict[str, str]:
    """The environment of processes whose clock is as many seconds off as the file `clock` says."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("there is no compiler here: apt-get install gcc")
    library, file = tmp_path / "clock.so", tmp_path / "clock"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, Path(__file__).with_name("clock.c")], check=True
    )
    file.write_text("0")
    return {"CLOCK": str(file), "LD_PRELOAD": str(library), ADDED: "CLOCK"}


@pytest.mark.parametrize("jump", [400, -400], ids=["forward", "back"])
def test_it_jumps_during_a_run_of_which_server_and_stages_see_it(
    small: Template, used_home: Path, clock: dict[str, str], tmp_path: Path, jump: int
) -> None:
    project = small.copy(tmp_path / "project")
    del project.env["PREFECT_API_URL"]
    project.env |= clock | {"PREFECT_HOME": str(used_home)}
    year = ["python", "-c", "import time; print(time.gmtime().tm_year)"]
    this = int(project.run(*year).stdout)
    with interrupting.started(project, SET) as process:
        assert process.stdout is not None
        said = interrupting.first_lines(process.stdout, 10_000)
        assert LAST in said
        (tmp_path / "clock").write_text(str(jump * 86_400))
        assert int(project.run(*year).stdout) != this
        (project.folder / "go").touch()
        said += process.stdout.read()
    assert process.returncode == 0, said
    assert not own_tracebacks(said)
    all_is_as_if_nothing_had_been(small, project)
    assert "Running stage" not in project.run(*flow(*SET)).stdout
    (tmp_path / "clock").write_text("0")
    again = project.run(*flow(*SET, "--set", "train.seed=8")).stdout
    assert "Running stage 'train'" in again
    assert "Running stage 'prepare'" not in again
