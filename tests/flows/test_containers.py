"""Stages in containers: what they can see and use, and that nothing of them stays."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import docker
import pytest

from flows.request import GPU, RequestError, containers
from flows.workspace import workspace_of
from prefect_dvc.runners.container import ContainerError, ContainerRunner
from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace
from tests.containers import IMAGE
from tests.patience import limited, until
from tests.project import ROOT, MakeWorkspace, run_stage

LOOK = """
import json, os
from pathlib import Path
def can_write(folder):
    try:
        Path(folder, "trial").touch()
    except OSError:
        return False
    return True
def limit(*names):
    (found,) = [path for name in names if (path := Path("/sys/fs/cgroup", name)).exists()]
    return found.read_text()
print(json.dumps({
    "uid": os.getuid(),
    "folder": os.getcwd(),
    "networks": os.listdir("/sys/class/net"),
    "root": can_write("/opt"), "tmp": can_write("/tmp"),
    "memory": limit("memory.max", "memory/memory.limit_in_bytes"),
    "cpus": limit("cpu.max", "cpu/cpu.cfs_quota_us"),
    "secret": os.environ.get("AWS_SECRET_ACCESS_KEY"),
}))
Path("made").touch()
"""


def ignore(line: str) -> None:
    pass


@pytest.fixture
def contain(make_workspace: MakeWorkspace) -> Callable[..., Workspace]:
    """A workspace whose stages are these commands, each in a container with these limits."""

    def contain(stages: dict[str, object], **limits: Any) -> Workspace:
        root = make_workspace(stages).folder
        return workspace_of(root, containers("docker", IMAGE, limits.get("memory"), limits.get("cpus")))

    return contain


def nothing_is_left(engine: docker.DockerClient, workspace: Workspace) -> None:
    """Wait until no container of this workspace is left; those that end by themselves take a while."""
    filters = {"label": f"prefect-dvc.workspace={workspace.folder}"}
    listed = partial(engine.containers.list, all=True, filters=filters, ignore_removed=True)
    until(lambda: not listed(), lambda: f"containers are left: {listed()}")


@pytest.mark.parametrize("stage", ["download", "train"])
def test_a_stage_sees_its_workspace_and_little_else(
    engine: docker.DockerClient,
    contain: Callable[..., Workspace],
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    workspace = contain({stage: "python -m look"}, memory="300m", cpus=0.5)
    (workspace.folder / "look.py").write_text(LOOK)
    lines: list[str] = []
    assert run_stage(workspace, stage, lines.append).outcome is Outcome.RAN
    facts = json.loads(lines[-1])
    assert facts["uid"] == os.getuid()
    assert facts["folder"] == str(workspace.folder)
    assert [name for name in facts["networks"] if name.startswith("eth")] == (
        ["eth0"] if stage == "download" else []
    )
    assert (facts["root"], facts["tmp"]) == (False, True)
    assert int(facts["memory"]) == 300 << 20
    assert facts["cpus"].split()[0] == "50000"
    assert facts["secret"] is None
    assert (workspace.folder / "made").stat().st_uid == os.getuid()
    nothing_is_left(engine, workspace)


@pytest.mark.parametrize(("stage", "wanted"), [("train", True), ("verify", True), ("evaluate", False)])
def test_a_gpu_is_for_the_stages_that_use_one(
    engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, stage: str, wanted: bool
) -> None:
    """What the engine is asked for where it has NVIDIA's runtime, which here it has not."""
    asked: list[dict[str, Any]] = []

    def create_container(*_: object, host_config: dict[str, Any], **__: object) -> dict[str, str]:
        asked.append(host_config)
        return {"Id": "none"}

    monkeypatch.setattr(engine.api, "create_container", create_container)
    for runtimes in (["runc", "nvidia"], ["runc"]):
        monkeypatch.setattr(engine, "info", partial(dict, Runtimes=runtimes))
        ContainerRunner(image=IMAGE, gpus=GPU)._create(engine, "true", "/folder", {"DVC_STAGE": stage})
    with_nvidia, without = (config.get("DeviceRequests") for config in asked)
    all_of_them = {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
    assert with_nvidia == ([all_of_them] if wanted else None)
    assert not without


def test_two_containers_in_one_workspace_work_one_after_the_other(
    engine: docker.DockerClient, make_workspace: MakeWorkspace, prefect_server: str
) -> None:
    times = "date +%s.%N >> times"
    wait = "until test -e go; do sleep 0.1; done"
    train = {"cmd": f"{times}; {wait}; {times}; cp source copy", "deps": ["source"], "outs": ["copy"]}
    root = make_workspace({"train": train}).folder
    (root / "source").touch()
    options: dict[str, Any] = {
        "command": [
            "sh",
            "-c",
            "cp -R /app/flows /app/prefect_dvc /app/digits /tmp; PYTHONPATH=/tmp python -m flows --force",
        ],
        "environment": {"PREFECT_API_URL": prefect_server, "HOME": "/tmp"},
        "network_mode": "host",
        "user": f"{os.getuid()}:{os.getgid()}",
        "volumes": [f"{root}:/workspace"],
        "detach": True,
    }
    both = [engine.containers.run(IMAGE, hostname=f"machine{number}", **options) for number in (1, 2)]

    def said() -> str:
        return "".join(container.logs().decode() for container in both)

    waiting = re.compile(r"the pipeline of process \d+ on machine[12], since .* waiting for its end")
    try:
        until(lambda: waiting.search(said()), said)
        (root / "go").touch()
        codes = [container.wait()["StatusCode"] for container in both]
        assert codes == [0, 0], said()
        assert len(waiting.findall(said())) == 1
    finally:
        for container in both:
            container.remove(force=True, v=True)
    moments = (root / "times").read_text().split()
    assert moments == sorted(moments)
    assert len(moments) == 4


def test_lines_come_while_the_stage_runs(
    engine: docker.DockerClient, contain: Callable[..., Workspace]
) -> None:
    workspace = contain(
        {"wait": "echo waiting; while ! test -e go; do sleep 0.1; done; echo 'to errors' >&2"}
    )
    lines: list[str] = []

    def log(line: str) -> None:
        lines.append(line)
        if line == "waiting":
            (workspace.folder / "go").touch()

    assert run_stage(workspace, "wait", log).outcome is Outcome.RAN
    assert lines[-1] == "to errors"


def test_a_failure_carries_the_stages_own_last_lines(
    engine: docker.DockerClient, contain: Callable[..., Workspace]
) -> None:
    workspace = contain({"fail": "echo 'error: the loss is not finite' >&2; exit 3", "good": "echo fine"})
    with workspace.lock(ignore):
        assert run_stage(workspace, "fail", ignore).last_lines == ("error: the loss is not finite",)
        assert run_stage(workspace, "good", ignore).outcome is Outcome.RAN
    nothing_is_left(engine, workspace)


def test_too_much_memory_is_said(engine: docker.DockerClient, contain: Callable[..., Workspace]) -> None:
    workspace = contain({"eat": "python -c 'x = bytearray(200_000_000)'"}, memory="64m")
    result = run_stage(workspace, "eat", ignore)
    assert result.outcome is Outcome.FAILED
    assert result.last_lines[-1] == "error: the container or its stage was killed; its memory limit is 64m"


def test_the_time_limit_removes_the_container(
    engine: docker.DockerClient, contain: Callable[..., Workspace]
) -> None:
    workspace = contain({"sleep": "touch asleep; echo asleep; sleep 100000", "good": "echo fine"})
    with workspace.lock(ignore):
        limit, result = limited(
            lambda limit: run_stage(workspace, "sleep", ignore, time_limit=limit),
            (workspace.folder / "asleep").exists,
        )
        assert result.last_lines[-1] == f"error: sleep was stopped at its time limit of {limit} seconds"
        nothing_is_left(engine, workspace)
        assert run_stage(workspace, "good", ignore).outcome is Outcome.RAN


@pytest.mark.parametrize("victim", ["flow", "dvc", "container"])
def test_nothing_stays_when_something_is_killed(
    engine: docker.DockerClient, contain: Callable[..., Workspace], victim: str
) -> None:
    workspace = contain({"sleep": "touch asleep; echo asleep; sleep 100000", "good": "echo fine"})
    script = f"""
import os, pathlib
from flows.request import GPU, RequestError, containers
from flows.workspace import workspace_of
from prefect_dvc.runners.container import ContainerRunner
from flows.workspace import workspace_of
workspace = workspace_of(pathlib.Path.cwd(), ContainerRunner(image={IMAGE!r}))
with workspace.lock(print):
    print(workspace.run(workspace.project.own[0], lambda line: print(line, flush=True)))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=workspace.folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as flow:
        assert flow.stdout is not None
        assert any(line == "asleep\n" for line in flow.stdout)
        kill(victim, flow.pid, engine, workspace)
        assert "failed" in flow.stdout.read() or victim == "flow"
    nothing_is_left(engine, workspace)
    with workspace.lock(ignore):
        assert run_stage(workspace, "good", ignore).outcome is Outcome.RAN


def test_what_had_not_begun_is_removed_when_the_next_run_begins(
    engine: docker.DockerClient, contain: Callable[..., Workspace]
) -> None:
    workspace = contain({"good": "echo fine"})
    container = engine.containers.create(IMAGE, labels={"prefect-dvc.workspace": str(workspace.folder)})
    container.reload()
    (volume,) = [engine.volumes.get(mount["Name"]) for mount in container.attrs["Mounts"]]
    with workspace.lock(ignore):
        nothing_is_left(engine, workspace)
        with pytest.raises(docker.errors.NotFound):
            volume.reload()


def kill(victim: str, flow: int, engine: docker.DockerClient, workspace: Workspace) -> None:
    def child(parent: int) -> int:
        return int(subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(parent)]).split()[0])

    if victim == "container":
        (container,) = engine.containers.list(filters={"label": f"prefect-dvc.workspace={workspace.folder}"})
        container.kill()
    else:
        os.kill(flow if victim == "flow" else child(child(child(flow))), signal.SIGKILL)


def test_what_is_missing_is_said_before_any_work(
    engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match="there is no image digits:nothing here; `make image` builds it"):
        containers("docker", "digits:nothing", None, None)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(ContainerError, match=r"no Docker engine answers: .*start it, or choose the runner"):
        ContainerRunner(image=IMAGE).check()
