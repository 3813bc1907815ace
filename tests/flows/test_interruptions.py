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

from tests.flows import interrupting, toy
from tests.flows.interrupting import CHANGES, SET, Template, all_is_as_if_nothing_had_been, at_work_in, flow
from tests.flows.output import own_tracebacks
from tests.flows.servers import Server, changed
from tests.patience import until
from tests.processes import stacks
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
    template: Template,
    project: Project,
    victims: list[str],
    chance: random.Random,
    *options: str,
    of: int,
    engine: docker.DockerClient | None = None,
) -> None:
    """Kill one after the other, each in a run that goes on where the one before was killed.

    Args:
        of: how many runs there are in all until one ends.
        engine: of the containers, where stages have some.
    """
    for victim in victims:
        kept = (project.folder / "models/checkpoint.kept").exists()
        with interrupting.started(project, [*SET, *options]) as process:
            assert process.stdout is not None
            # As many lines as chance has it, then a while within what the run does next.
            said = interrupting.first_lines(process.stdout, template.moment(chance, of))
            print(said)
            time.sleep(chance.uniform(0, 0.5))
            killed = interrupting.kill(victim, process, engine, project.folder)
            print(f"{victim}: killed {killed} after that")
            # What is at work beside a stage that fails goes on to its end, which for the last one is not yet.
            (project.folder / "fail").touch()
            said += process.stdout.read()
        (project.folder / "fail").unlink()
        assert not own_tracebacks(said)
        assert not kept or "- step 1\n" not in said
        if engine:
            until(lambda: not containers(engine, project), "a container goes on")
        interrupting.nothing_is_left_or_half(template, project)


def containers(engine: docker.DockerClient, project: Project, **which: bool) -> list[object]:
    filters = {"label": f"prefect-dvc.workspace={project.folder}"}
    return list(engine.containers.list(filters=filters, ignore_removed=True, **which))


def the_next_run_goes_on(template: Template, project: Project, *options: str) -> str:
    """What a run says that nobody kills."""
    (project.folder / "go").touch()
    kept = (project.folder / "models/checkpoint.kept").exists()
    done = project.run(*flow(*SET, *options))
    assert not own_tracebacks(done.stdout)
    assert ("goes on after step" in done.stdout) is kept
    all_is_as_if_nothing_had_been(template, project)
    return done.stdout


PROCESSES = ["flow", "guard", "dvc", "stage", "everything"]


@pytest.mark.parametrize("turn", ["first", "second"])
def test_processes(small: Template, tmp_path: Path, chance: random.Random, turn: str) -> None:
    project = small.copy(tmp_path / "project")
    interrupt(small, project, chance.sample(PROCESSES, len(PROCESSES)), chance, of=len(PROCESSES))
    the_next_run_goes_on(small, project)


def test_containers(
    engine: docker.DockerClient, small: Template, tmp_path: Path, chance: random.Random
) -> None:
    project, options = small.copy(tmp_path / "project"), ("--runner", "docker")
    victims = chance.sample(["container", "flow", "dvc"] * 2, 6)
    interrupt(small, project, victims, chance, *options, of=len(victims), engine=engine)
    the_next_run_goes_on(small, project, *options)
    # One that was made and had not begun is removed only now.
    until(lambda: not containers(engine, project, all=True), "a container is left")


def test_a_container_of_the_real_stages(
    engine: docker.DockerClient, real: Template, tmp_path: Path, chance: random.Random
) -> None:
    project = real.copy(tmp_path / "project")
    options = ("--runner", "docker", "--force", "--memory", "3g", "--cpus", "2")
    interrupt(real, project, ["container"], chance, *options, of=1, engine=engine)
    said = the_next_run_goes_on(real, project, *options)
    assert said.count("  ran\n") == len([*STAGES, "last"])
    until(lambda: not containers(engine, project, all=True), "a container is left")
    undisturbed = real.project.folder.with_name("undisturbed")
    assert (project.folder / "dvc.lock").read_bytes() == (undisturbed / "dvc.lock").read_bytes()


class Deployed:
    """Runs of a deployment that come as far as chance has it."""

    def __init__(self, template: Template, project: Project, server: Server, chance: random.Random) -> None:
        self.template, self.project, self.server = template, project, server
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
        until(far_enough, lambda: f"run {run} does not go on:\n{self._signs(before)}")
        print(f"after {self.server.log.read_text().splitlines()[-1]}")
        return run

    def _signs(self, before: int) -> str:
        """What has been said since then, and what is done now."""
        return f"{self.server.log.read_text()[before:]}\n{stacks(at_work_in(self.project.folder))}"


def kill_worker(pid: int) -> None:
    """Kill it; all below it ends."""
    worker = psutil.Process(pid)
    below = worker.children(recursive=True)
    worker.kill()
    until(lambda: not [process for process in below if process.is_running()], f"some of {below} go on")


def end_workers_and_the_server(deployed: Deployed, ends: list[str]) -> None:
    """One worker after the other ends, each of which goes on where the one before has; then the server."""
    runs = []
    for end in ends:
        with deployed.worker() as worker:
            runs.append(deployed.begin())
            if end == "kill":
                kill_worker(worker.pid)
        interrupting.nothing_is_left_or_half(deployed.template, deployed.project)
    with deployed.worker():
        for run in runs:
            deployed.server.wait_for(run, "Crashed")
        last = deployed.begin()
        deployed.server.kill()
        time.sleep(deployed.chance.uniform(0, 3))
        deployed.server.start()
        (deployed.project.folder / "go").touch()
        deployed.server.wait_for(last, "Completed")
    all_is_as_if_nothing_had_been(deployed.template, deployed.project)


def test_workers_and_a_server(
    small: Template, own_server: Server, tmp_path: Path, chance: random.Random
) -> None:
    deployed = Deployed(small, small.copy(tmp_path / "project"), own_server, chance)
    end_workers_and_the_server(deployed, chance.sample(["kill", "stop"], 2))


def test_each_victim_of_the_real_stages(
    real: Template, own_server: Server, tmp_path: Path, chance: random.Random
) -> None:
    """All in one line of runs, as each takes its time to load PyTorch."""
    project = real.copy(tmp_path / "project")
    interrupt(real, project, chance.sample(PROCESSES, len(PROCESSES)), chance, of=len(PROCESSES) + 2)
    end_workers_and_the_server(Deployed(real, project, own_server, chance), ["kill"])
