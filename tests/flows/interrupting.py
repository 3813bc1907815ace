"""What tests of interruptions share: projects to interrupt, victims, and what must hold afterwards."""

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import psutil

from digits.common import locking
from digits.common.files import sha256
from digits.common.workspace import LOCK
from prefect_dvc import shell
from tests.patience import until
from tests.processes import command_of, stacks
from tests.project import Project

CHANGES = {"normalize.validation_size": 100, "train.seed": 7}
SET = [word for key, value in CHANGES.items() for word in ("--set", f"{key}={value}")]
LAST = "Running stage 'last'"  # a run waits in it


@dataclass
class Template:
    """A project in which a run has ended, and what the next run with `CHANGES` makes of it."""

    project: Project
    before: dict[str, str]
    after: dict[str, str]
    lines: int
    """That the next run prints before its last stage begins."""
    records: int
    """Those of them that are of stages."""

    def moment(self, chance: random.Random, of: int) -> int:
        """After how many lines to interrupt one `of` some runs, the last of which has stages left, too."""
        return chance.randrange(2, min(self.lines, 2 * self.lines // of))

    def copy(self, folder: Path) -> Project:
        """The project before that run, whose last stage will wait for `go`."""
        copy = self.project.copy(folder)
        (folder / "go").unlink()
        return copy


def flow(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flows", *arguments]


def build(project: Project, folder: Path) -> None:
    """Run a project for a template, and a copy of it in `folder` with the changes."""
    (project.folder / "go").touch()
    project.run(*flow())
    said = project.copy(folder / "undisturbed").run(*flow(*SET)).stdout
    first = said.partition(LAST)[0]
    assert first != said
    (folder / "counted").write_text(f"{first.count(chr(10))} {first.count('Task run')}")


def load(folder: Path, outputs: list[str], **environment: str) -> Template:
    """What `build` has made of `folder/project`, with these variables."""
    project = Project(folder / "project", folder / "home")
    project.env |= environment
    lines, records = (int(word) for word in (folder / "counted").read_text().split())
    before, after = (hashes(folder / name, outputs) for name in ("project", "undisturbed"))
    assert set(before) == set(after) == set(outputs)
    return Template(project, before, after, lines, records)


@contextmanager
def started(project: Project, arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A flow, which does not wait for `go` for ever where a test fails."""
    with subprocess.Popen(
        flow(*arguments),
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        except BaseException:
            (project.folder / "go").touch()
            process.kill()
            raise


def first_lines(lines: Iterable[str], number: int) -> str:
    """So many lines, or those before the last stage waits."""
    said = ""
    for line in itertools.islice(lines, number):
        said += line
        if LAST in line:
            break
    return said


def hashes(folder: Path, outputs: list[str]) -> dict[str, str]:
    return {name: sha256(folder / name) for name in outputs if (folder / name).exists()}


def processes(pid: int) -> dict[str, list[psutil.Process]]:
    """Those of a flow: its guards, the DVC commands at work, their stages; of each as many as there are."""
    flow = psutil.Process(pid)
    guards = [child for child in flow.children() if any("guard.py" in word for word in command_of(child))]
    found: dict[str, list[psutil.Process]] = {"flow": [flow], "guard": guards, "dvc": [], "stage": []}
    for server in (server for guard in guards for server in guard.children()):
        # First what forks for the stages of a command, unless they have containers, then the command.
        forks = '"containers": null' in server.environ().get(shell.LANE, "")
        children = server.children()
        if len(children) == (2 if forks else 1):
            found["dvc"].append(children[-1])
            if forks:
                found["stage"] += children[0].children()
                # A stage that is no module is what DVC's shell has become.
                shells = children[-1].children()
                found["stage"] += [
                    one for one in shells if "prefect_dvc/shell" not in " ".join(command_of(one))
                ]
    return found


def kill(victim: str, run: subprocess.Popen[str], engine: docker.DockerClient | None, folder: Path) -> str:
    """Kill it as soon as it is there, which it will be as the run waits for `go`; return what was killed."""

    def killed() -> str:
        assert run.poll() is None, f"the run has ended, which was to wait: {_rest(run)}"
        try:
            return _kill(victim, run.pid, engine, folder)
        except (psutil.NoSuchProcess, docker.errors.APIError):  # it has just ended
            return ""

    return until(killed, lambda: f"there is no {victim} in a run that has said: {_rest(run)}")


def _rest(run: subprocess.Popen[str]) -> str:
    """End a run; return what it has said that nobody has read."""
    run.kill()
    assert run.stdout is not None
    return run.stdout.read()


def _kill(victim: str, pid: int, engine: docker.DockerClient | None, folder: Path) -> str:
    if victim == "container":
        assert engine
        label = {"label": f"prefect-dvc.workspace={folder}"}
        for container in engine.containers.list(filters=label):
            container.kill()
            return str(container.labels["prefect-dvc.stage"])
        return ""
    found = processes(pid)
    if victim == "everything":
        family = [
            found["flow"][0],
            *(one for guard in found["guard"] for one in [guard, *guard.children(True)]),
        ]
        for one in family:
            with suppress(psutil.NoSuchProcess):  # some end with those before them
                one.kill()
        return f"{len(family)} processes"
    if not found[victim]:
        return ""
    found[victim][0].kill()
    return victim


def at_work_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def nothing_is_left_or_half(template: Template, project: Project) -> None:
    until(
        lambda: not at_work_in(project.folder), lambda: f"these go on:\n{stacks(at_work_in(project.folder))}"
    )
    # The kernel unlocks a moment after the last sign of a dying process.
    until(lambda: is_free(project.folder / LOCK), "the workspace is locked")
    for name, found in hashes(project.folder, list(template.before)).items():
        assert found in (template.before[name], template.after[name]), f"{name} is half of something"


def is_free(lock: Path) -> bool:
    try:
        locking.take(lock, locking.Holder.process("the test", os.getpid())).close()
    except locking.BusyError:
        return False
    return True


def all_is_as_if_nothing_had_been(template: Template, project: Project) -> None:
    assert hashes(project.folder, list(template.after)) == template.after
    release = project.folder / "models/release/model.onnx"
    assert sha256(release) == template.after["models/model.onnx"]
    parts = [path for path in project.folder.rglob("*.part") if ".dvc" not in path.parts]
    assert parts == [], "something temporary is left"
