"""A copy of this project that tests may run, change and break."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from flows.workspace import workspace_of
from prefect_dvc.transcript import Log, StageResult
from prefect_dvc.workspace import Workspace
from tests import costly
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
STAGES: list[str] = list(YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"])
MakeWorkspace = Callable[[dict[str, object]], Workspace]
"""Makes a small DVC project with these stages, in which the test then is."""


LIBRARIES = ("matplotlib", "onnxruntime", "onnxscript", "torch")


def without_libraries(folder: Path) -> str:
    """A PYTHONPATH without large libraries: flows load them ahead of stages, and small stages need none."""
    folder.mkdir()
    for name in LIBRARIES:
        (folder / f"{name}.py").write_text(f"raise ImportError('a small project has no {name}')")
    return str(folder)


def copy_with(stages: dict[str, object], project: Path, root: Path) -> Workspace:
    """A copy of a small `project` in `root`, with these stages; one that is only a command is a string."""
    shutil.copytree(project, root)
    written = {name: {"cmd": stage} if isinstance(stage, str) else stage for name, stage in stages.items()}
    (root / "dvc.yaml").write_text(json.dumps({"stages": written}))  # JSON is YAML
    return workspace_of(root)


def run_stage(workspace: Workspace, stage: str, log: Log, **how: Any) -> StageResult:
    """Bring a stage of this name up to date, as `Workspace.run` does."""
    (found,) = (each for each in workspace.project.own if each.name == stage)
    return workspace.run(found, log, **how)


class Project:
    """A checkout of the project with its own home folder, Prefect home and DVC cache."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT", "DVC", "PYTEST", "GIT_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = {**kept, "HOME": str(home), "PATH": path, "DO_NOT_TRACK": "1"}

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, output and errors in one text."""
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode(errors="replace")
            raise AssertionError(f"{' '.join(command)}\nhas not ended, and said\n{said}") from None
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done

    def dvc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check)

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()

    def replace(self, path: str, old: str, new: str) -> None:
        text = self.text(path)
        assert text.count(old) == 1, f"{old!r} is not once in {path}"
        (self.folder / path).write_text(text.replace(old, new))

    def remove_data(self) -> None:
        """Remove what was fetched before."""
        shutil.rmtree(self.folder / "data/raw", ignore_errors=True)

    def copy(self, folder: Path) -> "Project":
        """The project as it is, in another folder, with nothing that this one makes later."""
        shutil.copytree(self.folder, folder, symlinks=True)
        copy = Project(folder, Path(self.env["HOME"]))
        copy.env = dict(self.env)
        return copy


def use_remote(root: Path, url: str, endpoint: str | None = None) -> None:
    """Give a project a default remote; of an S3 server of one's own, at `endpoint`."""
    remote = f"['remote \"store\"']\n    url = {url}\n"
    endpoint_line = f"    endpointurl = {endpoint}\n" if endpoint else ""
    (root / ".dvc/config.local").write_text(f"[core]\n    remote = store\n{remote}{endpoint_line}")


def git(*arguments: str, folder: Path | None = None) -> str:
    """What Git says in a folder, the current one if not given, to somebody with a name."""
    author = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    return subprocess.check_output(["git", *author, *arguments], cwd=folder, text=True).strip()


def stages_run(output: str) -> list[str]:
    """The stages that DVC says it ran, in order."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")]


def copy_project(target: Path, home: Path) -> Project:
    """Copy the project as it is in the working tree into its own repository, fetched files included."""
    costly.check("a copy of the project")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for fetched in ("data/raw", "data/web_runtime"):
        if (ROOT / fetched).is_dir():
            shutil.copytree(ROOT / fetched, target / fetched, dirs_exist_ok=True)
    home.mkdir(exist_ok=True)
    project = Project(target, home)
    for key, value in (("user.name", "Tester"), ("user.email", "tester@example.com")):
        project.run("git", "config", "--global", key, value)
    project.run("git", "init", "--quiet", "--initial-branch=main")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message=as it is")
    return project
