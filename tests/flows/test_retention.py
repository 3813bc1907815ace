"""What nobody needs any more goes, and nothing else."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import docker
import pytest

from flows import retention
from flows.retention import clean_cache, clean_images
from prefect_dvc.project import ProjectError
from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace
from tests.project import ROOT, MakeWorkspace, git, run_stage

STAGE = {"cmd": "cp source model", "deps": ["source"], "outs": ["model"]}


@pytest.fixture
def workspace(make_workspace: MakeWorkspace) -> Workspace:
    """A workspace with three results: of a branch, of nothing any more, and of the workspace."""
    made = make_workspace({"train": STAGE})
    assert result_of(made, "a branch") is Outcome.RAN
    for command in (["add", "."], ["commit", "-q", "-m", "one"], ["branch", "kept"]):
        git(*command)
    assert result_of(made, "nothing") is Outcome.RAN
    assert result_of(made, "the workspace") is Outcome.RAN
    git("commit", "-q", "-a", "-m", "two")
    return made


def result_of(workspace: Workspace, source: str) -> Outcome:
    Path("source").write_text(source * 100)
    return run_stage(workspace, "train", print).outcome


def test_what_a_branch_or_the_workspace_names_stays(workspace: Workspace) -> None:
    assert clean_cache(workspace, print) == len("nothing" * 100)
    assert result_of(workspace, "the workspace") is Outcome.UP_TO_DATE
    assert result_of(workspace, "a branch") is Outcome.RESTORED
    assert result_of(workspace, "nothing") is Outcome.RAN


def test_a_cache_that_others_use_is_left_alone(workspace: Workspace, tmp_path: Path) -> None:
    Path(".dvc/cache").rename(tmp_path / "shared")
    Path(".dvc/config.local").write_text(f"[cache]\n    dir = {tmp_path / 'shared'}\n")
    before = retention.size(tmp_path / "shared")
    with pytest.raises(ProjectError, match="may have what other projects need"):
        clean_cache(workspace, print)
    assert retention.size(tmp_path / "shared") == before


@pytest.mark.usefixtures("prefect_server")
def test_a_run_says_what_it_has_removed_or_why_not(workspace: Workspace, tmp_path: Path) -> None:
    state = retention.retention(return_state=True)
    assert state.is_completed(), state.message
    assert state.message
    assert state.message.startswith("0.0 MB removed from DVC's cache; ")
    Path("dvc.lock").write_text("[")
    state = retention.retention(return_state=True)
    assert state.is_failed()
    assert state.message
    assert state.message.startswith("error: ")


@pytest.fixture
def title(engine: docker.DockerClient) -> Iterator[str]:
    """Of four images, the oldest first, the first of which is in use, and two newer ones without CUDA."""
    title = f"test-{uuid4()}"
    for number in range(6):
        labels = f"{retention.TARGET}={'gpu' if number < 4 else 'cpu'} number={number}"
        text = f"FROM scratch\nLABEL org.opencontainers.image.title={title} {labels}\nCMD none\n"
        engine.images.build(fileobj=io.BytesIO(text.encode()), tag=f"{title}:{number}", nocache=True, rm=True)
    container = engine.containers.create(f"{title}:0")
    yield title
    container.remove()
    for image in engine.images.list(filters={"label": f"org.opencontainers.image.title={title}"}):
        engine.images.remove(image.id, force=True)


def test_new_images_and_those_in_use_stay(engine: docker.DockerClient, title: str) -> None:
    assert clean_images(engine, print, title) == 1
    left = engine.images.list(filters={"label": f"org.opencontainers.image.title={title}"})
    assert {tag for image in left for tag in image.tags} == {
        f"{title}:{number}" for number in (0, 2, 3, 4, 5)
    }


def test_the_server_forgets_old_runs() -> None:
    """Prefect ignores a setting that it does not know."""
    ask = "from prefect.settings import get_current_settings as s; v = s().server.services.db_vacuum; "
    ask += "print(sorted(v.enabled_vacuum_types), v.retention_period.days)"
    said = subprocess.check_output([sys.executable, "-c", ask], cwd=ROOT, text=True)
    assert said == "['events', 'flow_runs', 'orphans'] 90\n"
