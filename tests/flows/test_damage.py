"""Objects of DVC's cache or of the remote that a disk has changed are found and replaced, not handed on."""

import shutil
from pathlib import Path

import pytest

from flows.workspace import workspace_of
from prefect_dvc.restore import restore
from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace
from tests.project import MakeWorkspace, run_stage, use_remote

MAKE = "mkdir -p folder; cat source > file; cat source > folder/one; echo other > folder/two"
STAGES: dict[str, object] = {
    "make": {"cmd": MAKE, "deps": ["source"], "outs": ["file", "folder"]},
    "use": {"cmd": "cat file folder/* > used", "deps": ["file", "folder"], "outs": ["used"]},
}
RIGHT = "a source\na source\nother\n"


def flip(folder: Path, content: str) -> None:
    """One bit of each object that begins so; its time and its rights stay, as with a bad disk."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.read_text().startswith(content)]
    assert found
    for path in found:
        before, data = path.stat(), bytearray(path.read_bytes())
        data[0] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        path.chmod(before.st_mode)


@pytest.fixture
def workspace(make_workspace: MakeWorkspace) -> Workspace:
    made = make_workspace(STAGES)
    (made.folder / "source").write_text("a source\n")
    assert outcomes(made) == [Outcome.RAN] * 2
    return made


def outcomes(workspace: Workspace) -> list[Outcome]:
    said.clear()
    return [run_stage(workspace, name, said.append).outcome for name in STAGES]


said: list[str] = []


def lose() -> None:
    """The outputs, as a failed stage or another branch does."""
    shutil.rmtree("folder")
    for name in ("file", "used"):
        Path(name).unlink()


def test_what_is_damaged_in_the_cache_is_made_again(workspace: Workspace) -> None:
    lose()
    for content in ("a source", "other"):  # the file, which is in the folder as well, and another one of it
        flip(workspace.folder / ".dvc/cache/files", content)
    assert outcomes(workspace)[0] is Outcome.RAN
    assert "damaged in DVC's cache, removed there, and made again: file, folder" in said
    assert Path("used").read_text() == RIGHT
    lose()
    assert outcomes(workspace) == [Outcome.RESTORED] * 2, "it is whole again"
    assert Path("used").read_text() == RIGHT


def test_it_comes_from_the_remote_unless_that_is_damaged_too(workspace: Workspace, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    use_remote(workspace.folder, str(remote))
    workspace = workspace_of(workspace.folder)
    assert not workspace.dvc(["push-runs"], print).last_lines
    workspace.pull = True
    for altered, outcome in ((False, Outcome.RESTORED), (True, Outcome.RAN)):
        lose()
        flip(workspace.folder / ".dvc/cache/files", "a source")
        if altered:
            flip(remote, "a source")
        assert outcomes(workspace)[0] is outcome
        assert Path("used").read_text() == RIGHT


def test_what_is_damaged_is_not_put_back_after_a_failure(workspace: Workspace) -> None:
    lose()
    flip(workspace.folder / ".dvc/cache/files", "other")
    found = restore(workspace.project)
    assert found.missing == ["folder"]
    assert sorted(found.paths) == ["file", "used"]
    assert not Path("folder").exists()
