"""Whatever is killed, whenever: the next run succeeds, with the bytes of one that was left in peace."""

import itertools
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import docker
import psutil
import pytest

from digits.common import locking
from digits.common.files import sha256
from flows.workspace import LOCK
from tests.containers import engine_with_image
from tests.flows.servers import Server, changed, serving, until
from tests.project import Project, copy_project
from tests.small import make_small

OUTPUTS = [
    "data/raw/train-images-idx3-ubyte",
    "data/normalized/test.safetensors",
    "data/normalized/train.safetensors",
    "models/model.onnx",
    "models/model.safetensors",
    "reports/confusion_matrix.png",
    "reports/metrics.json",
    "reports/mistakes.png",
    "reports/page/report.json",
    "reports/parity.json",
    "reports/training.csv",
]
CHANGES = {"normalize.validation_size": 100, "train.seed": 7}
SET = [word for key, value in CHANGES.items() for word in ("--set", f"{key}={value}")]


@dataclass
class Template:
    """A project in which a run has ended, and what the next run with `CHANGES` makes of it."""

    project: Project
    before: dict[str, str]
    after: dict[str, str]
    lines: int
    """That the next run prints before its last stage begins."""


def hashes(folder: Path) -> dict[str, str]:
    return {name: sha256(folder / name) for name in OUTPUTS if (folder / name).exists()}


def flow(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flows", *arguments]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, raw_data: Path, prefect_server: str) -> Template:
    folder = tmp_path_factory.mktemp("template")
    project = copy_project(folder / "project", folder / "home")
    shutil.rmtree(project.folder / "data/raw", ignore_errors=True)
    make_small(project, raw_data)
    project.env["PREFECT_API_URL"] = prefect_server
    project.run(*flow())
    before = hashes(project.folder)
    undisturbed = copied(project, folder / "undisturbed")
    said = undisturbed.run(*flow(*SET)).stdout
    lines = said.partition("Running stage 'report'")[0].count("\n")
    return Template(project, before, hashes(undisturbed.folder), lines)


def copied(project: Project, folder: Path) -> Project:
    """The project as it is, with nothing that the other one makes later."""
    shutil.copytree(project.folder, folder, symlinks=True)
    copy = Project(folder, Path(project.env["HOME"]))
    copy.env = dict(project.env)
    return copy


@pytest.fixture
def project(template: Template, tmp_path: Path) -> Project:
    return copied(template.project, tmp_path / "project")


def tree(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """A flow, its guard, the server of DVC commands, the command at work, its stage: as many as there are."""
    found = [psutil.Process(process.pid)]
    while children := [child for child in found[-1].children() if "flows.server" not in child.cmdline()]:
        found.append(children[0])
    return found


VICTIMS = {"flow": 0, "guard": 1, "dvc": 3, "stage": 4}


def kill(
    victim: str, process: subprocess.Popen[str], engine: docker.DockerClient | None, folder: Path
) -> str:
    """Kill it as soon as it is there; return what was killed, or nothing where the run has ended before."""
    while process.poll() is None:
        try:
            if engine:
                label = {"label": f"digits.workspace={folder}"}
                for container in engine.containers.list(filters=label) if victim == "container" else []:
                    container.kill()
                    return str(container.labels["digits.stage"])
            chain = tree(process)
            if victim == "everything":
                for member in chain:
                    member.kill()
                return f"{len(chain)} processes"
            if victim in VICTIMS and len(chain) > VICTIMS[victim]:
                chain[VICTIMS[victim]].kill()
                return victim
        except (psutil.NoSuchProcess, docker.errors.APIError):
            pass
        time.sleep(0.01)
    return ""


def at_work_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def interrupt(template: Template, project: Project, victim: str, number: int, runner: str) -> None:
    engine = engine_with_image() if runner == "docker" else None
    arguments = [*SET, "--runner", runner]
    chance = random.Random(f"{victim}-{number}")
    with subprocess.Popen(
        flow(*arguments),
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        # As many lines as chance has it, then a while within what the run does next.
        said = "".join(itertools.islice(process.stdout, chance.randrange(2, template.lines)))
        time.sleep(chance.uniform(0, 0.5))
        killed = kill(victim, process, engine, project.folder)
        last = said.splitlines()[-1]
        said += process.stdout.read()
    assert killed, "the run had ended before"
    print(f"{victim}: killed {killed} after: {last}")
    assert "Traceback" not in said

    filters = {"label": f"digits.workspace={project.folder}"}
    if engine:
        listed = partial(engine.containers.list, filters=filters, ignore_removed=True)
        until(lambda: not listed(), 30, "a container goes on")
    nothing_is_left_or_half(template, project)
    done = project.run(*flow(*arguments))
    assert "Traceback" not in done.stdout
    if engine:  # one that was made and had not begun is removed only now
        until(lambda: not listed(all=True), 30, "a container is left")
        engine.close()
    all_is_as_if_nothing_had_been(template, project)


def nothing_is_left_or_half(template: Template, project: Project) -> None:
    until(lambda: not at_work_in(project.folder), 30, f"{at_work_in(project.folder)} go on")
    # The kernel unlocks a moment after the last sign of a dying process.
    until(lambda: is_free(project.folder / LOCK), 30, "the workspace is locked")
    for name, found in hashes(project.folder).items():
        assert found in (template.before[name], template.after[name]), f"{name} is half of something"


def is_free(lock: Path) -> bool:
    try:
        locking.take(lock, locking.Holder.process("the test", os.getpid())).close()
    except locking.BusyError:
        return False
    return True


def all_is_as_if_nothing_had_been(template: Template, project: Project) -> None:
    assert hashes(project.folder) == template.after
    release = project.folder / "models/release/model.onnx"
    assert sha256(release) == template.after["models/model.onnx"]
    parts = [path for path in project.folder.rglob("*.part") if ".dvc" not in path.parts]
    assert parts == [], "something temporary is left"


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("victim", ["flow", "guard", "dvc", "stage", "everything"])
def test_a_run_of_processes(template: Template, project: Project, victim: str, number: int) -> None:
    interrupt(template, project, victim, number, "process")


@pytest.mark.parametrize("victim", ["container", "container-2", "flow", "dvc"])
def test_a_run_of_containers(template: Template, project: Project, victim: str) -> None:
    interrupt(template, project, victim.partition("-")[0], len(victim), "docker")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.mark.parametrize("victim", ["worker-stop", "worker-stop-2", "worker-kill", "worker-kill-2", "server"])
def test_a_run_of_a_deployment(template: Template, project: Project, server: Server, victim: str) -> None:
    deployment = changed(project.folder)
    server.deploy(project.folder, deployment)
    lines = random.Random(victim).randrange(2, template.lines)
    with server.worker(project.folder, deployment) as worker:
        before = server.log.read_text().count("Task run")
        run = server.begin(deployment, overrides=CHANGES, force=False)
        until(lambda: server.log.read_text().count("Task run") - before >= lines, 120, "it does not go on")
        print(f"{victim}: after {server.log.read_text().splitlines()[-1]}")
        if victim == "server":
            server.kill()
            time.sleep(3)
            server.start()
            server.wait_for(run, "Completed")
        elif victim.startswith("worker-kill"):
            below = psutil.Process(worker.pid).children(recursive=True)
            worker.kill()
            until(lambda: not [process for process in below if process.is_running()], 30, f"{below} go on")
    nothing_is_left_or_half(template, project)
    with server.worker(project.folder, deployment):
        if victim != "server":
            server.wait_for(run, "Crashed")
        server.wait_for(server.begin(deployment, overrides=CHANGES, force=False), "Completed")
    all_is_as_if_nothing_had_been(template, project)
