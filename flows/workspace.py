"""This project's workspace: what `prefect_dvc` has to know of it to run its stages."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from ruamel.yaml import YAML

from digits.common import locking
from digits.common.workspace import LOCK
from flows.environment import ADDED, visible
from prefect_dvc.locking import BusyError
from prefect_dvc.project import Project, ProjectError
from prefect_dvc.transcript import Log
from prefect_dvc.workspace import Workspace

if TYPE_CHECKING:
    from prefect_dvc.runners.container import ContainerRunner

# What each stage leaves time for. `stages` says how PyTorch's libraries are to be loaded.
AHEAD = [
    ["stages", "torch"],
    ["safetensors.torch", "onnxruntime", "matplotlib.figure"],
    ["onnxscript.function_libs.torch_lib.ops", "torch._dynamo", "torch.export._trace"],
]


def workspace_of(root: Path, containers: "ContainerRunner | None" = None, tell: Log = print) -> Workspace:
    """The workspace of a checkout of this project; of another folder, nothing can be run in it."""
    return Workspace(
        root,
        containers,
        tell=tell,
        take=take,
        environment={"PATH": path_of_stages(), locking.HELD: "1"},
        visible=visible(os.environ.get(ADDED, ""), here=True),
        ahead=AHEAD,
        check_folder=_require_both,
    )


def path_of_stages() -> str:
    """DVC starts stages as `python -m ...` through the shell: that python must be this one."""
    return os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])


def take(root: Path, tell: Callable[[str], None] | None) -> IO[str]:
    """Be alone in this workspace, as a `prefect_dvc.locking.Take`; its stages keep to the same lock."""
    try:
        return locking.take(root / LOCK, locking.Holder.process("the pipeline", os.getpid()), tell)
    except locking.BusyError as error:
        raise BusyError(str(error)) from None


def _require_both(root: Path) -> None:
    if not ((root / ".dvc").is_dir() and (root / "dvc.yaml").is_file()):
        raise ProjectError(f"{root} is no DVC workspace; start this where dvc.yaml and .dvc are")


class ModelArtifact(NamedTuple):
    """A model as `dvc.yaml` declares it."""

    name: str
    path: Path
    description: str


def model_of(project: Project) -> ModelArtifact | None:
    """The model that `dvc.yaml` declares under `artifacts`, if there is one."""
    # DVC has checked the file by now; asked once more, it loads a library for names and reads dvc.lock, too.
    content = YAML(typ="safe").load((project.folder / "dvc.yaml").read_text(encoding="utf-8"))
    models = (
        ModelArtifact(name, Path(artifact["path"]), artifact.get("desc") or "")
        for name, artifact in (content.get("artifacts") or {}).items()
        if artifact.get("type") == "model"
    )
    return next(models, None)
