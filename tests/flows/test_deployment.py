"""prefect.yaml on a real server, with real workers: what is due runs, and two runs never overlap."""

import contextlib
import json
import os
import signal
from pathlib import Path
from threading import Timer
from typing import Any

import docker
import psutil
import pytest

from flows.container_ends import RUN
from tests.containers import engine_with_image
from tests.flows.servers import NIGHTLY, Server, ask, changed, copy_flows, kind_of
from tests.patience import PATIENCE, until
from tests.processes import command_of

BAD = ("FAILED", "CRASHED", "CANCELLED")


@pytest.fixture
def project(empty_project: Path, tmp_path: Path, small_path: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with this one's flows, whose stage waits for `go` and notes when it begins and ends."""
    monkeypatch.setenv("PYTHONPATH", small_path)
    root = copy_flows(empty_project, tmp_path / "project")
    note, wait = "date +%s.%N >> times", "until test -e go; do sleep 0.1; done"
    command = f"{note}; {wait}; {note}; cp source copy"
    stages = {"train": {"cmd": command, "deps": ["source"], "outs": ["copy"]}}
    (root / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (root / "source").touch()
    return root


def go(project: Path) -> None:
    (project / "go").touch()


def times(project: Path) -> list[float]:
    path = project / "times"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def at_work(server: Server, project: Path, number: int = 1) -> None:
    """Wait until the stage has begun for this time, where those before have not ended."""
    until(lambda: len(times(project)) >= number, server.log.read_text)


@pytest.mark.parametrize("name", NIGHTLY)
def test_what_is_due_runs_and_runs_do_not_overlap(server: Server, project: Path, name: str) -> None:
    often = in_containers(project) if name == "nightly-docker" else changed(project)
    often["schedules"] = [{"interval": 15, "slug": "often"}]
    server.deploy(project, often)
    with server.worker(project, often):
        # A run of the schedule, and one by hand at the same time.
        at_work(server, project)
        found = ask(f"{server.url}/deployments/name/pipeline/{often['name']}")["id"]
        ask(f"{server.url}/deployments/{found}/pause_deployment", {})  # no more of them
        by_hand = server.begin(often, force=True)
        server.wait_for(by_hand, "AwaitingConcurrencySlot")
        go(project)
        server.wait_for(by_hand, "Completed")
    runs = server.runs(deployments={"name": {"any_": [often["name"]]}})
    assert any(run["auto_scheduled"] and run["state_type"] == "COMPLETED" for run in runs)
    assert not [run for run in runs if run["state_type"] in BAD]
    assert len(times(project)) >= 4
    assert times(project) == sorted(times(project)), "each run ended before the next began"


def test_a_worker_that_is_stopped_or_killed_leaves_no_run_hanging(server: Server, project: Path) -> None:
    deployment = changed(project)
    server.deploy(project, deployment)
    with server.worker(project, deployment) as worker:
        first = server.begin(deployment)
        second = server.begin(deployment)
        at_work(server, project)
        below = psutil.Process(worker.pid).children(recursive=True)
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
        assert server.state(first) == "Crashed" or server.state(second) == "Crashed"
    assert not [process for process in below if process.is_running()]
    rest = first if server.state(second) == "Crashed" else second
    with server.worker(project, deployment) as worker:
        at_work(server, project, 2)  # its turn comes at once: nobody waits for the end of a lease here
        below = psutil.Process(worker.pid).children(recursive=True)
        assert len(below) >= 5
        worker.kill()
        until(lambda: not [p for p in below if p.is_running()], f"some of {below} go on")
    assert server.state(rest) == "Running", "nobody could tell the server"
    go(project)
    with server.worker(project, deployment):
        server.wait_for(rest, "Crashed")
        server.wait_for(server.begin(deployment), "Completed")


def test_a_flow_that_is_killed_makes_room_for_the_next(server: Server, project: Path) -> None:
    deployment = changed(project)
    server.deploy(project, deployment)
    with server.worker(project, deployment) as worker:
        first, second = server.begin(deployment), server.begin(deployment)
        at_work(server, project)
        for process in psutil.Process(worker.pid).children(recursive=True):
            command = command_of(process)
            if "prefect.engine" in " ".join(command) or "prefect.flow_engine" in command:
                process.send_signal(signal.SIGKILL)
                break
        else:
            pytest.fail("there is no flow")
        crashed = until(
            lambda: [run for run in (first, second) if server.state(run) == "Crashed"], "nobody saw it"
        )
        go(project)
        (rest,) = {first, second} - set(crashed)
        server.wait_for(rest, "Completed")


def in_containers(project: Path) -> dict[str, Any]:
    """A deployment on a docker pool, whose containers work in the folder of this project."""
    engine_with_image().close()
    deployment = changed(project, "nightly-docker")
    job = deployment["work_pool"]["job_variables"]
    user = {"user": f"{os.getuid()}:{os.getgid()}"}
    deployment["work_pool"]["job_variables"] = {
        **job,
        "volumes": [f"{project}:/workspace"],
        "container_create_kwargs": job["container_create_kwargs"] | user,
    }
    return deployment


def container_of(run: str) -> docker.models.containers.Container:
    with contextlib.closing(engine_with_image()) as engine:
        (found,) = engine.containers.list(filters={"label": f"{RUN}={run}"})
        return found


def test_a_container_that_is_killed_or_stopped_makes_room_for_the_next(server: Server, project: Path) -> None:
    deployment = in_containers(project)
    server.deploy(project, deployment)
    with server.worker(project, deployment) as worker:
        killed = server.begin(deployment)
        at_work(server, project)
        container_of(killed).kill()
        server.wait_for(killed, "Crashed")

        # Where Prefect's worker comes too late, the end is told of, too.
        late = server.begin(deployment)
        at_work(server, project, 2)
        container, below = container_of(late), psutil.Process(worker.pid).children(recursive=True)
        for process in below:
            process.suspend()
        container.kill()
        server.wait_for(late, "Crashed")
        for process in below:
            process.resume()

        stopped = server.begin(deployment)
        at_work(server, project, 3)
        Timer(1, go, [project]).start()  # while the stop is waiting for the end of the run
        container_of(stopped).stop(timeout=int(PATIENCE))
        server.wait_for(stopped, "Completed")
        server.wait_for(server.begin(deployment), "Completed")
        assert server.state(late) == "Crashed"


@pytest.mark.parametrize("name", NIGHTLY)
def test_a_run_that_is_cancelled_leaves_no_container(server: Server, project: Path, name: str) -> None:
    if name == "nightly-docker":  # the run is in a container
        deployment = in_containers(project)
    else:  # its stages are
        parameters = {**NIGHTLY[name]["parameters"], "force": True, "runner": "docker"}
        deployment = changed(project, parameters=parameters)
    server.deploy(project, deployment)
    with contextlib.closing(engine_with_image()) as engine, server.worker(project, deployment):
        run = server.begin(deployment)
        at_work(server, project)
        label = f"{RUN}={run}" if name == "nightly-docker" else f"prefect-dvc.workspace={project}"

        def containers() -> list[object]:
            filters = {"label": label}
            return list(engine.containers.list(all=True, filters=filters, ignore_removed=True))

        assert containers()
        server.run(project, "flow-run", "cancel", run)
        server.wait_for(run, "Cancelled")
        until(lambda: not containers(), "the container is still there")
        go(project)
        server.wait_for(server.begin(deployment), "Completed")
        states = ask(f"{server.url}/flow_run_states/?flow_run_id={run}")
        assert [state["type"] for state in states][-2:] == ["CANCELLING", "CANCELLED"]


def test_a_run_may_be_dropped_while_another_survives_the_end_of_the_server(
    own_server: Server, project: Path
) -> None:
    limit = {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    server, deployment = own_server, changed(project, concurrency_limit=limit)
    server.deploy(project, deployment)
    with server.worker(project, deployment):
        run = server.begin(deployment)
        at_work(server, project)
        server.wait_for(server.begin(deployment), "Cancelled")
        server.kill()
        go(project)
        until(lambda: len(times(project)) == 2, "the stage does not end")
        server.start()
        server.wait_for(run, "Completed")
        server.wait_for(server.begin(deployment), "Completed")
    assert len(times(project)) == 4


@pytest.mark.parametrize("name", NIGHTLY)
def test_the_committed_schedule_is_on_the_server(server: Server, name: str) -> None:
    kind = kind_of(NIGHTLY[name]["work_pool"]["name"])
    found = server.committed()[kind]["deployment"]
    assert found["name"] == name
    (schedule,) = found["schedules"]
    assert schedule["schedule"]["cron"] == "0 3 * * *"
    assert schedule["schedule"]["timezone"] == "Europe/Berlin"
    assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert found["global_concurrency_limit"]["limit"] == 1
    until(lambda: server.runs(deployments={"id": {"any_": [found["id"]]}}), "no run is planned")
