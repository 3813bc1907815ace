"""A stage that has run with the same inputs is restored, also if its outputs are not cached."""

from pathlib import Path

from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace
from tests.project import MakeWorkspace, run_stage

TRAIN = {
    "cmd": "sh train",
    "deps": ["source"],
    "outs": ["model"],
    "metrics": [{"metrics.json": {"cache": False}}],
}


def make(make_workspace: MakeWorkspace) -> Workspace:
    workspace = make_workspace({"train": TRAIN})
    (workspace.folder / "train").write_text("cp source model; echo '{\"value\": 1}' > metrics.json")
    return workspace


def run(workspace: Workspace, source: str) -> Outcome:
    Path("source").write_text(source)
    return run_stage(workspace, "train", print).outcome


def test_an_earlier_run_is_restored_with_all_its_outputs(make_workspace: MakeWorkspace) -> None:
    workspace = make(make_workspace)
    assert [run(workspace, source) for source in ("one", "two")] == [Outcome.RAN] * 2
    Path("metrics.json").unlink()
    assert run(workspace, "one") is Outcome.RESTORED
    assert Path("model").read_text() == "one"
    assert Path("metrics.json").exists()
    assert not workspace.project.stale(["train"])


def test_outputs_that_are_missing_are_restored(make_workspace: MakeWorkspace) -> None:
    workspace = make(make_workspace)
    run(workspace, "one")
    Path("model").unlink()
    Path("metrics.json").unlink()
    assert run(workspace, "one") is Outcome.RESTORED


def test_force_restores_nothing(make_workspace: MakeWorkspace) -> None:
    workspace = make(make_workspace)
    run(workspace, "one")
    assert run_stage(workspace, "train", print, force=True).outcome is Outcome.RAN
