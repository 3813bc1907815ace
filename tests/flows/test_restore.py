"""A stage that fails has lost its outputs; one command puts those of dvc.lock back."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from digits.common.workspace import LOCK
from flows.pipeline import pipeline
from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace
from tests.project import ROOT, MakeWorkspace, run_stage

TRAIN = """
mkdir -p folder; cp source folder/a; cp source folder/b; cp source model; echo '{"value": 1}' > metrics.json
echo a,b > plot.csv; test "$(cat source)" != bad || { rm folder/b; echo half > metrics.json; exit 1; }
"""
STAGE = {
    "cmd": "sh train",
    "deps": ["source"],
    "outs": ["model", "folder"],
    "metrics": [{"metrics.json": {"cache": False}}],
    "plots": [{"plot.csv": {"cache": False}}],
}
OUTPUTS = ("model", "folder/a", "folder/b", "metrics.json", "plot.csv")


@pytest.fixture
def workspace(make_workspace: MakeWorkspace) -> Workspace:
    """A workspace in which `train` has run."""
    made = make_workspace({"train": STAGE})
    Path("train").write_text(TRAIN)
    Path("source").write_text("good")
    assert run_stage(made, "train", print).outcome is Outcome.RAN
    return made


def restore() -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    command = [sys.executable, "-m", "flows.restore"]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def contents() -> dict[str, bytes | None]:
    return {path: Path(path).read_bytes() if Path(path).exists() else None for path in OUTPUTS}


@pytest.mark.parametrize("started_by", ["the pipeline", "a person"])
def test_what_a_failed_stage_has_removed_or_left_half_comes_back(
    workspace: Workspace, started_by: str
) -> None:
    before = contents()
    Path("source").write_text("bad")
    if started_by == "the pipeline":
        assert run_stage(workspace, "train", print).outcome is Outcome.FAILED
    else:
        assert subprocess.run([sys.executable, "-m", "dvc", "repro"]).returncode != 0
    assert contents() != before
    done = restore()
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == [
        f"{path} is as dvc.lock says again" for path in ("folder", "metrics.json", "model")
    ]
    assert contents() == before
    Path("source").write_text("good")
    assert not workspace.project.stale(["train"])
    assert restore().stdout == "every output is as dvc.lock says\n"


def test_what_git_tracks_is_no_link_into_the_cache(workspace: Workspace) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "config", "cache.type", "symlink"], check=True)
    for path in ("model", "metrics.json"):
        Path(path).unlink()
    assert restore().returncode == 0
    assert Path("model").is_symlink()
    assert not Path("metrics.json").is_symlink()


def test_what_is_in_no_cache_is_said_and_left_as_it_is(workspace: Workspace) -> None:
    subprocess.run(["rm", "-r", ".dvc/cache"], check=True)
    Path("metrics.json").write_text("half")
    Path("folder/b").unlink()
    Path("model").unlink()
    done = restore()
    assert done.returncode == 1
    for path in ("folder", "metrics.json", "model"):
        assert f"error: {path} is not in DVC's cache; `dvc fetch` may bring it" in done.stderr
    assert Path("metrics.json").read_text() == "half"
    assert Path("folder/a").read_text() == "good"


def test_nothing_is_put_back_while_somebody_is_at_work(workspace: Workspace) -> None:
    Path("model").unlink()
    with workspace.lock(print):
        done = restore()
    assert done.returncode == 2
    assert done.stderr.startswith("error: the pipeline of process ")
    assert not Path("model").exists()


def test_in_another_folder_it_makes_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("below").mkdir()
    monkeypatch.chdir("below")
    done = restore()
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not list(Path().iterdir())
    assert not LOCK.exists()


@pytest.mark.usefixtures("prefect_server")
def test_the_failure_of_a_run_names_the_command(make_workspace: MakeWorkspace) -> None:
    def run() -> Any:
        return pipeline(return_state=True)

    make_workspace({"train": STAGE})
    Path("train").write_text(TRAIN)
    Path("source").write_text("bad")
    assert "make restore" not in run().message, "there is nothing of before"
    Path("source").write_text("good")
    assert run().is_completed()
    Path("source").write_text("bad")
    assert run().message.endswith("\n`make restore` puts the outputs of before back")
    assert restore().returncode == 0
