"""A release is made once more from its code, and what does not come out the same is named."""

import hashlib
import json
from pathlib import Path

import pytest

from flows import check_release
from flows.release import publish
from flows.workspace import model_of
from prefect_dvc.workspace import Workspace
from tests.flows import releasing, sealing
from tests.project import MakeWorkspace, git


def commit() -> None:
    git("add", "--all")
    git("commit", "--quiet", "--message=code")


@pytest.fixture
def workspace(make_workspace: MakeWorkspace) -> Workspace:
    made = make_workspace({})
    releasing.write(made.folder)
    return made


def released(workspace: Workspace) -> Path:
    assert not workspace.dvc(["repro"], print).last_lines
    model = model_of(workspace.project)
    assert model
    publish(workspace.folder, model, print)
    return Path("models/release").resolve()


def rebuilt(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    code = check_release.main([str(folder), "--rebuild"])
    printed = capsys.readouterr()
    assert code == bool(printed.err)
    return printed.err.splitlines()


def test_a_release_is_made_again_from_its_commit_and_a_forgery_is_not(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    commit()
    folder = released(workspace)
    Path("model").write_text("a newer one")
    commit()
    assert rebuilt(folder, capsys) == []
    forged = folder.rename(folder.parent / "forged")
    before, content = hashlib.md5(b"a model").hexdigest(), b"another"
    lock = (forged / "dvc.lock").read_text()
    (forged / "model.onnx").write_bytes(content)
    at = lock.index(before, lock.index("path: models/model.onnx"))
    lock = lock[:at] + hashlib.md5(content).hexdigest() + lock[at + len(before) :]
    (forged / "dvc.lock").write_text(lock)
    bill = json.loads((forged / "bom.cdx.json").read_text())
    bill["metadata"]["component"]["hashes"][0]["content"] = hashlib.sha256(content).hexdigest()
    (forged / "bom.cdx.json").write_text(json.dumps(bill))
    sealing.seal(forged, statement=True)
    assert check_release.faults(forged) == [], "it fits together"
    (said,) = rebuilt(forged, capsys)
    assert said.startswith("error: export: models/model.onnx is made with other bytes")


def test_code_that_was_never_committed_is_that_of_the_folder(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = released(workspace)
    assert rebuilt(folder, capsys) == []
    Path("accuracy").write_text("0.96")
    said = rebuilt(folder, capsys)
    assert said[0].startswith("error: evaluate: accuracy is other code: ")
    assert "reports/metrics.json is made with other bytes" in said[1]
    Path("accuracy").write_text("bad")
    (line,) = rebuilt(folder, capsys)
    assert line.startswith("error: a stage of the release fails here: ")
    assert "the loss is not finite" in line


def test_a_checkout_without_the_code_says_so(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit()
    folder = released(workspace)
    git("init", "--quiet", str(tmp_path / "other"))
    monkeypatch.chdir(tmp_path / "other")
    (line,) = rebuilt(folder, capsys)
    assert line.startswith(f"error: {tmp_path / 'other'} does not have the code of this release: fatal: ")
