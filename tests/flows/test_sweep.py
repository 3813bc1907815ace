"""Sweeps through a real Ray, on a tenth of the real MNIST, with trials that diverge and that are killed."""

import contextlib
import csv
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.flows.output import own_tracebacks
from tests.flows.servers import Server
from tests.flows.sweeping import SOUND, plan
from tests.flows.test_trials import PROBE
from tests.patience import PATIENCE, until
from tests.processes import command_of
from tests.project import Project, copy_project
from tests.shared import free_port
from tests.small import make_small

DIVERGING = {"name": "diverging", "set": {"solvers.sgd.lr": 1e30}}
LONG = {"name": "long", "set": {"train.epochs": 1_000_000}}
STARTED = "local Ray instance"
"""What a sweep says when it has started Ray."""
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, raw_data: Path, server: Server) -> Project:
    folder = tmp_path_factory.mktemp("sweep")
    project = copy_project(folder / "project", folder / "home")
    make_small(project, raw_data)
    # Ray would let its processes wait for all others.
    project.env |= {"PREFECT_API_URL": server.url, "RAY_worker_niceness": "0"}
    # Two of its helpers notice the end of a killed sweep when they have tried this long to reach it.
    project.env["RAY_gcs_rpc_server_reconnect_timeout_s"] = "3"
    project.dvc("repro", "download")
    return project


def sweep(project: Project, name: str, *arguments: str) -> str:
    return project.run(sys.executable, "-m", "flows.sweep", name, *arguments).stdout


def table(project: Project, name: str, file: str = "trials") -> Rows:
    return list(csv.DictReader(project.text(f"sweeps/results/{name}/{file}.csv").splitlines()))


def processes_of_trials(driver: psutil.Process) -> list[psutil.Process]:
    """The processes of Ray that are at work on a trial."""
    return [one for one in driver.children(recursive=True) if command_of(one)[:1] == ["ray::trial"]]


def listening(process: psutil.Process) -> list[str]:
    """The addresses at which a process waits for others."""
    connections = process.net_connections("tcp")
    return [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]


@pytest.fixture
def cluster(project: Project) -> Generator[str]:
    """The address of a Ray that others have started, with a GPU in its environment, in an empty folder."""
    port, client, agent = free_port(), free_port(), free_port()
    # In a folder of its own, so that no other Ray of this machine finds it, and with a token of its own.
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # with a short name, for Ray makes sockets in it
    options = f"--head --block --node-ip-address=127.0.0.1 --num-cpus=2 --temp-dir={folder} --port={port}"
    ports = f"--ray-client-server-port={client} --dashboard-agent-listen-port={agent} --min-worker-port=0"
    limits = "--max-worker-port=0 --include-dashboard=false --disable-usage-stats"
    limits += " --object-store-memory=100000000"
    # Not half a minute, nor the three seconds of `project`, which are for sweeps that are killed.
    waits = ("RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S", "RAY_gcs_rpc_server_reconnect_timeout_s")
    patient = dict.fromkeys(waits, str(round(PATIENCE)))
    # Ray forks for each client while gRPC has threads, and what gRPC does in a fork sometimes ends that.
    patient["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", *f"{options} {ports} {limits}".split()],
        cwd=folder,
        env=project.env | token | {"CUDA_VISIBLE_DEVICES": "0", **patient},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any("Ray runtime started" in line for line in process.stdout)
        project.env |= token
        yield f"ray://127.0.0.1:{client}"
        for name in token:
            del project.env[name]
        own = psutil.Process(process.pid)
        for one in [*own.children(recursive=True), own]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    shutil.rmtree(folder, ignore_errors=True)


def test_trials_run_on_a_cluster(project: Project, cluster: str) -> None:
    plan(project.folder, "there", {"name": "fast", "set": {"solvers.sgd.lr": 0.1}}, seeds=[1])
    sweep(project, "there", "--address", cluster)
    assert [row["status"] for row in table(project, "there")] == ["completed"] * 2
    found = project.run(sys.executable, "-c", PROBE, cluster).stdout.splitlines()[-1]
    assert json.loads(found)["CUDA_VISIBLE_DEVICES"] == ""


@dataclass
class Killed:
    """What was there when a sweep was killed, which had no Prefect server but its own."""

    trials: dict[Path, int]
    """That had ended, and when; those at work would never have."""
    processes: list[psutil.Process]
    agents: list[psutil.Process]
    """Those of Ray that try for a minute to tell a server that is gone, too; Ray has no setting for that."""


@pytest.fixture(scope="module")
def killed(project: Project) -> Iterator[Killed]:
    """A sweep that was killed, and then has gone on."""
    plan(project.folder, "sound", LONG, SOUND)
    alone = {name: value for name, value in project.env.items() if name != "PREFECT_API_URL"}
    command = [sys.executable, "-m", "flows.sweep", "sound"]
    with subprocess.Popen(
        command, cwd=project.folder, env=alone, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any("[2/8]" in line for line in process.stderr)
        driver = psutil.Process(process.pid)
        until(lambda: processes_of_trials(driver), "the long ones do not work")
        below = driver.children(recursive=True)
        names = (["ray::DashboardAgent"], ["ray::RuntimeEnvAgent"])
        agents = [one for one in below if command_of(one)[:1] in names]
        os.kill(process.pid, signal.SIGKILL)
    ended = {path: path.stat().st_mtime_ns for path in project.folder.glob("sweeps/results/sound/trials/*")}
    plan(project.folder, "sound", SOUND)
    said = sweep(project, "sound")
    assert f"{len(ended)} of 6 trials ended in an earlier sweep" in said
    assert STARTED in said
    yield Killed(ended, [one for one in below if one not in agents], agents)
    for agent in agents:  # nobody need wait for them
        with contextlib.suppress(psutil.NoSuchProcess):
            agent.kill()


def test_a_sweep_that_was_killed_goes_on_with_what_is_missing(project: Project, killed: Killed) -> None:
    assert 2 <= len(killed.trials) < 6
    assert all(path.stat().st_mtime_ns == written for path, written in killed.trials.items())
    assert [row["status"] for row in table(project, "sound")] == ["completed"] * 6
    assert psutil.wait_procs(killed.processes, timeout=PATIENCE)[1] == [], "nothing of Ray is left"


def test_faults_are_rows_and_the_others_as_if_there_were_none(project: Project, killed: Killed) -> None:
    plan(project.folder, "faulty", SOUND, DIVERGING, LONG)
    sound = table(project, "sound")
    # Four at a time, so that the long ones keep nobody waiting.
    command = [sys.executable, "-m", "flows.sweep", "faulty", "--cpus-per-trial", "0.5"]
    with subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("[8/10]" in line for line in process.stderr), "all but the long ones"
        driver = psutil.Process(process.pid)
        working = until(
            lambda: found if len(found := processes_of_trials(driver)) >= 2 else [],
            "the long ones do not work",
        )
        below = driver.children(recursive=True)
        assert {address.removeprefix("::ffff:") for p in below for address in listening(p)} == {"127.0.0.1"}
        for trial in working:
            trial.send_signal(signal.SIGKILL)
        output, rest = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, rest
    assert "long" in output
    assert psutil.wait_procs(below, timeout=PATIENCE)[1] == [], "nothing of Ray is left"
    rows = table(project, "faulty")
    statuses = {(row["configuration"], row["seed"]): row["status"] for row in rows}
    assert statuses["long", "1"] == statuses["long", "2"] == "killed"
    assert statuses["diverging", "1"] == statuses["diverging", "2"] == "diverged"
    assert "the loss is" in next(row["reason"] for row in rows if row["status"] == "diverged")
    assert "died" in next(row["reason"] for row in rows if row["status"] == "killed")
    assert [row for row in rows if row["configuration"] in ("params.yaml", "sgd")] == sound
    summary = {row["configuration"]: row for row in table(project, "faulty", "summary")}
    assert (summary["long"]["failed"], summary["long"]["validation_accuracy"]) == ("2", "")
    assert (project.folder / "sweeps/results/faulty/learning-curves.png").stat().st_size > 10_000


def test_the_best_row_written_back_is_what_dvc_reproduces(project: Project) -> None:
    tuned = {"name": "adam", "set": {"train.solver": "adam"}, "over": {"solvers.adam.lr": [1e-5, 0.01]}}
    plan(project.folder, "tuned", tuned, tune_seeds=[1], seeds=[2])
    output = sweep(project, "tuned", "--write-best")
    assert "params.yaml has solvers.adam.lr: 0.01 now" in output
    rows = table(project, "tuned")
    parts = [(row["configuration"], row["chosen"], row["seed"], row["part"]) for row in rows]
    low, high = (json.dumps({"solvers.adam.lr": lr}) for lr in (1e-5, 0.01))
    assert parts == [
        ("adam", low, "1", "tuning"),
        ("adam", high, "1", "tuning"),
        ("params.yaml", "{}", "2", "final"),
        ("adam", high, "2", "final"),
    ]
    project.dvc("repro", "train")
    last = list(csv.DictReader(project.text("reports/training.csv").splitlines()))[-1]
    for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
        assert last[name] == rows[3][name]


def test_a_point_with_a_failed_trial_is_not_written_back(project: Project, killed: Killed) -> None:
    before = table(project, "sound")
    best = table(project, "sound", "summary")[0]
    assert best["configuration"] == "params.yaml"
    results = project.folder / "sweeps/results"
    trials = shutil.copytree(results / "sound/trials", results / "partly/trials")
    losses = {row["validation_loss"] for row in before if row["configuration"] == "params.yaml"}
    for path in trials.iterdir():
        result = json.loads(path.read_text())
        if f"{result['curve'][-1]['validation_loss']:.6g}" in losses:
            path.write_text(json.dumps(result | {"status": "diverged", "curve": [], "kept": None}))
            break
    plan(project.folder, "partly", SOUND)
    output = sweep(project, "partly", "--write-best")
    assert "6 of 6 trials ended in an earlier sweep" in output
    assert STARTED not in output, "Ray has nothing to do"
    assert "params.yaml has solvers.sgd.lr: 0.003 now" in output
    changed = [old for old, new in zip(before, table(project, "partly"), strict=True) if old != new]
    assert [row["configuration"] for row in changed] == ["params.yaml"], "the others are as they were"
    summary = table(project, "partly", "summary")
    (failed,) = (row for row in summary if row["failed"] == "1")
    assert failed["configuration"] == "params.yaml"
    assert float(failed["validation_accuracy"]) > float(summary[0]["validation_accuracy"])


@pytest.mark.parametrize("tune_seeds", [[], [7]])
def test_where_no_point_completed_its_trials_the_sweep_fails_and_writes_nothing(
    project: Project, tune_seeds: list[int]
) -> None:
    over = {"over": {"solvers.sgd.lr": [1e30, 1e31]}} if tune_seeds else {}
    plan(project.folder, "hopeless", DIVERGING | over, baseline="diverging", tune_seeds=tune_seeds, seeds=[1])
    before = project.text("params.yaml")
    failed = project.run(sys.executable, "-m", "flows.sweep", "hopeless", "--write-best", check=False)
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[-1] == (
        "error: no point has completed all its trials, so there is none to choose; "
        "sweeps/results/hopeless/trials.csv says why"
    )
    assert not own_tracebacks(failed.stdout)
    left_out = "diverging is left out: none of its choices completed all its trials"
    assert (left_out in failed.stdout) == bool(tune_seeds)
    assert {row["status"] for row in table(project, "hopeless")} == {"diverged"}
    assert project.text("params.yaml") == before


def test_what_this_machine_has_not_and_a_silent_server_are_told_in_a_line(project: Project) -> None:
    plan(project.folder, "vast", SOUND)
    command = (sys.executable, "-m", "flows.sweep", "vast")
    failed = project.run(*command, "--cpus-per-trial", "1000", check=False)
    assert failed.returncode == 1
    assert not own_tracebacks(failed.stdout)
    assert "error: a trial takes 1000 CPUs and 0 GPUs; there are " in failed.stdout.splitlines()[-1]
    silent = "PREFECT_API_URL=http://127.0.0.1:9/api"  # nobody listens at port 9
    failed = project.run("env", silent, *command, check=False)
    assert failed.returncode == 1
    assert failed.stdout.startswith("error: Prefect: ")
    assert len(failed.stdout.splitlines()) == 1
