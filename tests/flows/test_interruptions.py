"""Whatever is killed, whenever: the next run succeeds, with the bytes of one that was left in peace.

Small stages are interrupted most, at moments that are drawn anew in every run; the real ones once a victim.
"""

import random
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path

import docker
import psutil
import pytest
from ruamel.yaml import YAML

from tests.containers import engine_with_image
from tests.flows import interrupting, toy
from tests.flows.interrupting import CHANGES, SET, Template, all_is_as_if_nothing_had_been, flow
from tests.flows.output import own_tracebacks
from tests.flows.servers import Server, changed, copy_flows
from tests.patience import until
from tests.project import STAGES, Project
from tests.shared import Once

OF_MNIST = [
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


@pytest.fixture(scope="session")
def small(once: Once, empty_project: Path, server: Server, small_path: str) -> Template:
    """Small stages, of which there is a checkpoint, too."""

    environment = {"PREFECT_API_URL": server.url, "PYTHONPATH": small_path}

    def build(folder: Path) -> None:
        toy.write(copy_flows(empty_project, folder / "project"))
        (folder / "home").mkdir()
        project = Project(folder / "project", folder / "home")
        project.env |= environment
        interrupting.build(project, folder)

    return interrupting.load(once("small-stages", build), toy.OUTPUTS, **environment)


@pytest.fixture(scope="session")
def real(once: Once, small_run: Project, server: Server) -> Template:
    """The stages as they are, on a tenth of the real MNIST."""

    def build(folder: Path) -> None:
        project = small_run.copy(folder / "project")
        (folder / "home").symlink_to(project.env["HOME"])
        yaml = YAML()
        stages = yaml.load(project.folder / "dvc.yaml")
        stages["stages"]["last"] = toy.LAST
        yaml.dump(stages, project.folder / "dvc.yaml")
        project.env["PREFECT_API_URL"] = server.url
        interrupting.build(project, folder)

    return interrupting.load(once("real-stages", build), OF_MNIST, PREFECT_API_URL=server.url)


def interrupt(
    template: Template, folder: Path, victims: list[str], chance: random.Random, *options: str
) -> str:
    """Kill one after the other, each in a run that goes on where the one before was killed.

    Returns what the last run says, which nobody kills.
    """
    project = template.copy(folder / "project")
    engine = engine_with_image() if "docker" in options else None
    arguments = [*SET, *options]
    filters = {"label": f"prefect-dvc.workspace={project.folder}"}

    def containers(**which: bool) -> list[object]:
        return list(engine.containers.list(filters=filters, ignore_removed=True, **which)) if engine else []

    for victim in victims:
        kept = (project.folder / "models/checkpoint.kept").exists()
        with interrupting.started(project, arguments) as process:
            assert process.stdout is not None
            # As many lines as chance has it, then a while within what the run does next.
            said = interrupting.first_lines(process.stdout, template.moment(chance, len(victims)))
            time.sleep(chance.uniform(0, 0.5))
            killed = interrupting.kill(victim, process.pid, engine, project.folder)
            print(f"{victim}: killed {killed} after: {said.splitlines()[-1]}")
            # What is at work beside a stage that fails goes on to its end, which for the last one is not yet.
            (project.folder / "fail").touch()
            said += process.stdout.read()
        (project.folder / "fail").unlink()
        assert not own_tracebacks(said)
        assert not kept or "- step 1\n" not in said
        until(lambda: not containers(), "a container goes on")
        interrupting.nothing_is_left_or_half(template, project)
    said = the_next_run_goes_on(template, project, arguments)
    # One that was made and had not begun is removed only now.
    until(lambda: not containers(all=True), "a container is left")
    if engine:
        engine.close()
    return said


def the_next_run_goes_on(template: Template, project: Project, arguments: list[str]) -> str:
    (project.folder / "go").touch()
    kept = (project.folder / "models/checkpoint.kept").exists()
    done = project.run(*flow(*arguments))
    assert not own_tracebacks(done.stdout)
    assert ("goes on after step" in done.stdout) is kept
    all_is_as_if_nothing_had_been(template, project)
    return done.stdout


PROCESSES = ["flow", "guard", "dvc", "stage", "everything"]


@pytest.mark.parametrize("turn", ["first", "second"])
def test_processes(small: Template, tmp_path: Path, chance: random.Random, turn: str) -> None:
    interrupt(small, tmp_path, chance.sample(PROCESSES, len(PROCESSES)), chance)


def test_processes_of_the_real_stages(real: Template, tmp_path: Path, chance: random.Random) -> None:
    interrupt(real, tmp_path, chance.sample(PROCESSES, len(PROCESSES)), chance)


def test_containers(
    engine: docker.DockerClient, small: Template, tmp_path: Path, chance: random.Random
) -> None:
    victims = ["container", "flow", "dvc"]
    interrupt(small, tmp_path, chance.sample(victims * 2, 6), chance, "--runner", "docker")


def test_a_container_of_the_real_stages(
    engine: docker.DockerClient, real: Template, tmp_path: Path, chance: random.Random
) -> None:
    limits = ("--memory", "3g", "--cpus", "2")
    said = interrupt(real, tmp_path, ["container"], chance, "--runner", "docker", "--force", *limits)
    assert said.count("  ran\n") == len([*STAGES, "last"])
    undisturbed = real.project.folder.with_name("undisturbed")
    assert (tmp_path / "project/dvc.lock").read_bytes() == (undisturbed / "dvc.lock").read_bytes()


class Deployed:
    """Runs of a deployment that come as far as chance has it."""

    def __init__(self, template: Template, folder: Path, server: Server, chance: random.Random) -> None:
        self.template, self.server = template, server
        self.project = template.copy(folder / "project")
        self.deployment = changed(self.project.folder)
        server.deploy(self.project.folder, self.deployment)
        self.chance = chance

    def worker(self) -> AbstractContextManager[subprocess.Popen[bytes]]:
        path = self.project.env.get("PYTHONPATH", "")
        return self.server.worker(self.project.folder, self.deployment, PYTHONPATH=path)

    def begin(self) -> str:
        before = len(self.server.log.read_text())
        records = self.chance.randrange(2, self.template.records)

        def far_enough() -> bool:
            said = self.server.log.read_text()[before:]
            return said.count("Task run") >= records or interrupting.LAST in said

        run = self.server.begin(self.deployment, overrides=CHANGES, force=False)
        until(far_enough, "it does not go on")
        print(f"after {self.server.log.read_text().splitlines()[-1]}")
        return run


def kill_worker(pid: int) -> None:
    """Kill it; all below it ends."""
    worker = psutil.Process(pid)
    below = worker.children(recursive=True)
    worker.kill()
    until(lambda: not [process for process in below if process.is_running()], f"some of {below} go on")


@pytest.mark.parametrize(("stages", "ends"), [("small", ["kill", "stop"]), ("real", ["kill"])])
def test_workers_and_a_server(
    request: pytest.FixtureRequest,
    own_server: Server,
    tmp_path: Path,
    chance: random.Random,
    stages: str,
    ends: list[str],
) -> None:
    """One worker after the other ends, each of which goes on where the one before has; then the server."""
    deployed = Deployed(request.getfixturevalue(stages), tmp_path, own_server, chance)
    runs = []
    for end in chance.sample(ends, len(ends)):
        with deployed.worker() as worker:
            runs.append(deployed.begin())
            if end == "kill":
                kill_worker(worker.pid)
        interrupting.nothing_is_left_or_half(deployed.template, deployed.project)
    with deployed.worker():
        for run in runs:
            own_server.wait_for(run, "Crashed")
        last = deployed.begin()
        own_server.kill()
        time.sleep(chance.uniform(0, 3))
        own_server.start()
        (deployed.project.folder / "go").touch()
        own_server.wait_for(last, "Completed")
    all_is_as_if_nothing_had_been(deployed.template, deployed.project)
