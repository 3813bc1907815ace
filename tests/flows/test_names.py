"""Names of a request become paths, addresses and arguments; what is no name is refused before any work."""

import shutil
from pathlib import Path

import pytest

from digits.sweeps.plan import PlanError
from flows.request import RequestError, containers, secret
from flows.sweep import prepare
from flows.trials import Resources
from prefect_dvc.transcript import Outcome
from tests.project import ROOT, MakeWorkspace, run_stage

STRANGE = ["../out", "sub/../../out", "/etc/out", "", ".", "..", "-h", "--help", "a b", "a\n", "a\0", "ä/"]


@pytest.mark.parametrize("name", [*STRANGE, "sub/in"])
def test_a_sweep_is_a_file_of_its_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweeps/sub").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for path in ("out", "sweeps/small", "sweeps/sub/in"):
        shutil.copy(ROOT / "sweeps/small.yaml", f"{path}.yaml")
    with pytest.raises(PlanError, match=r"^there is no sweep '.*'; there are small$"):
        prepare(name, Resources())


@pytest.mark.parametrize("name", [*STRANGE, "Digits", "a/b"])
def test_credentials_are_the_name_of_a_block(name: str) -> None:
    """Before any server is asked, for the name is a part of the address that is asked for."""
    with pytest.raises(RequestError, match=r"^credentials is '.*': a block's name consists of lower-case"):
        secret(name)


@pytest.mark.parametrize("name", ["../containers", "a/../b", "", "-v", "a b", "a\n", "a?b", "a#b"])
def test_an_image_is_the_name_of_an_image(name: str) -> None:
    """Before any engine is asked, likewise."""
    with pytest.raises(RequestError, match=r"^image is '.*': .*such as digits:latest"):
        containers("docker", name, None, None)


def test_a_stage_may_be_called_like_an_option_of_dvc(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"--dry": "touch made"})
    assert run_stage(workspace, "--dry", print).outcome is Outcome.RAN
    assert (workspace.folder / "made").exists()
