"""Sweeps through a real Ray, on a tenth of the real MNIST, with trials that diverge and that are killed."""

import contextlib
import csv
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray._private import ray_constants
from ray._private.runtime_env import packaging
from ruamel.yaml import YAML

from digits.common.files import files_below
from digits.parameters.schema import Parameters, read
from flows.trials import Resources, key
from tests.flows.output import own_tracebacks
from tests.patience import PATIENCE, until
from tests.project import ROOT, Project, copy_project
from tests.small import make_small

SOUND = {"name": "sgd", "over": {"solvers.sgd.lr": [0.05, 0.1]}}
DIVERGING = {"name": "diverging", "set": {"solvers.sgd.lr": 1e30}}
LONG = {"name": "long", "set": {"train.epochs": 1_000_000}}
TRIAL_ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy, flows.trials, stages.trial
from digits.data.datasets import Dataset
from digits.parameters.schema import read
ours = [m.__file__ for name, m in sys.modules.items() if name.split(".")[0] in ("digits", "stages", "flows")]
assert all(file.startswith(sys.argv[1]) for file in ours), ours
values = read(sys.argv[2], {"normalize.validation_size": 100, "train.epochs": 1})
images = numpy.zeros((300, 28, 28), "uint8")
data = Dataset(images, numpy.zeros(300, "uint8"))
print(stages.trial.run(values.training, values.normalize, data)["status"])
"""
PROBE = """
import json, os, sys
from flows.trials import Resources
address = sys.argv[1] if sys.argv[1:] else None
options = Resources(address).task_runner.init_kwargs
import ray
ray.init(**{"address": address, **options})
print(json.dumps(ray.get(ray.remote(num_gpus=0)(lambda: dict(os.environ)).remote())))
"""
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, raw_data: Path) -> Project:
    folder = tmp_path_factory.mktemp("sweep")
    project = copy_project(folder / "project", folder / "home")
    make_small(project, raw_data)
    # Ray would let its processes wait for all others.
    project.env |= {"PREFECT_HOME": str(folder / "prefect"), "RAY_worker_niceness": "0"}
    # Two of its helpers notice the end of a killed sweep when they have tried this long to reach it.
    project.env["RAY_gcs_rpc_server_reconnect_timeout_s"] = "3"
    project.dvc("repro", "download")
    return project


def plan(project: Project, name: str, *configurations: dict[str, Any], **changes: Any) -> None:
    fixed = {"normalize.validation_size": 1000, "train.epochs": 2, "models.mlp.hidden_sizes": [16]}
    content = {"about": "for a test", "fixed": fixed, "configurations": [*configurations], "seeds": [1, 2]}
    YAML().dump({**content, **changes}, project.folder / f"sweeps/{name}.yaml")


def sweep(project: Project, name: str, *arguments: str) -> str:
    return project.run(sys.executable, "-m", "flows.sweep", name, *arguments).stdout


def table(project: Project, name: str, file: str = "trials") -> Rows:
    return list(csv.DictReader(project.text(f"sweeps/results/{name}/{file}.csv").splitlines()))


def processes_of_trials(driver: psutil.Process) -> list[psutil.Process]:
    """The processes of Ray that are at work on a trial."""
    found = []
    for process in driver.children(recursive=True):
        try:
            if process.cmdline()[:1] == ["ray::trial"]:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def listening(process: psutil.Process) -> list[str]:
    """The addresses at which a process waits for others."""
    connections = process.net_connections("tcp")
    return [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]


def sent_to_a_cluster(folder: Path, target: Path) -> None:
    """What Ray makes on another machine of `folder`, by its own packager."""
    options = Resources("ray://head:10001").task_runner.init_kwargs["runtime_env"]
    packaging.create_package(
        str(folder / options["working_dir"]),
        target.with_suffix(".zip"),
        include_gitignore=os.environ.get(ray_constants.RAY_RUNTIME_ENV_IGNORE_GITIGNORE, "0") != "1",
        excludes=[*ray_constants.get_runtime_env_default_excludes(), *options["excludes"]],
    )
    packaging.unzip_package(
        str(target.with_suffix(".zip")), str(target), remove_top_level_directory=False, unlink_zip=False
    )


def test_what_is_sent_to_a_cluster_is_enough_for_a_trial_and_no_more(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "0")
    folder = tmp_path / "project"
    names = ["digits", "stages", "flows", "teachers", "models", "data", "sweeps", "web", ".dvc", ".git"]
    for name in names:
        shutil.copytree(project.folder / name, folder / name, symlinks=True)
    for name in ("params.yaml", "prefect.toml", ".gitignore"):
        shutil.copy2(project.folder / name, folder / name)
    for unwanted in (".env", "mlruns/1/log", "digits/node_modules/a/index.js", "digits/models/.#cnn.py"):
        (folder / unwanted).parent.mkdir(parents=True, exist_ok=True)
        (folder / unwanted).write_text("of nobody else's business")
    (folder / "teachers/cnn.safetensors").write_text("kept by DVC, and so unknown to Git")
    (folder / "teachers/.gitignore").write_text("/cnn.safetensors")
    sent_to_a_cluster(folder, tmp_path / "sent")
    sent = {str(p.relative_to(tmp_path / "sent")) for p in (tmp_path / "sent").rglob("*") if p.is_file()}
    code = {
        str(p.relative_to(folder))
        for name in ("digits", "stages", "flows")
        for p in files_below(folder / name)
    }
    teachers = {"teachers/none", "teachers/cnn.safetensors", "teachers/.gitignore"}
    assert sent == code | teachers | {"prefect.toml"}
    # Without the folders of the environment, of the tests, and of the project that it was made of.
    done = subprocess.run(
        [sys.executable, "-I", "-c", TRIAL_ELSEWHERE, tmp_path / "sent", ROOT / "params.yaml"],
        cwd=tmp_path,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout == "completed\n"


@pytest.fixture
def cluster(project: Project) -> Generator[str]:
    """The address of a Ray that others have started, with a GPU in its environment, in an empty folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # In a folder of its own, so that no other Ray of this machine finds it, and with a token of its own.
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # with a short name, for Ray makes sockets in it
    options = f"--head --block --node-ip-address=127.0.0.1 --port={port} --num-cpus=2 --temp-dir={folder}"
    limits = "--include-dashboard=false --disable-usage-stats --object-store-memory=100000000"
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", *options.split(), *limits.split()],
        cwd=folder,
        env=project.env | token | {"CUDA_VISIBLE_DEVICES": "0"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any("Ray runtime started" in line for line in process.stdout)
        project.env |= token
        yield f"127.0.0.1:{port}"
        for name in token:
            del project.env[name]
        own = psutil.Process(process.pid)
        for one in [*own.children(recursive=True), own]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    shutil.rmtree(folder)


def test_trials_run_on_a_cluster(project: Project, cluster: str) -> None:
    plan(project, "there", SOUND, seeds=[1])
    sweep(project, "there", "--address", cluster)
    assert [row["status"] for row in table(project, "there")] == ["completed"] * 3
    found = project.run(sys.executable, "-c", PROBE, cluster).stdout.splitlines()[-1]
    assert json.loads(found)["CUDA_VISIBLE_DEVICES"] == ""


def test_a_trial_here_sees_no_gpu_where_it_takes_none_and_no_other_ray(project: Project) -> None:
    others = ("CUDA_VISIBLE_DEVICES=0", "RAY_ADDRESS=127.0.0.1:9")
    found = project.run("env", *others, sys.executable, "-c", PROBE).stdout.splitlines()[-1]
    assert json.loads(found)["CUDA_VISIBLE_DEVICES"] == ""


def test_the_device_that_a_trial_trains_on_is_part_of_its_key() -> None:
    def placed(device: str, gpus: float) -> Parameters:
        return Resources(gpus=gpus).placed(read(ROOT / "params.yaml", {"train.device": device}))

    devices = {(d, gpus): placed(d, gpus).train.device for d in ("auto", "cpu") for gpus in (0, 0.1)}
    assert devices == {("auto", 0): "cpu", ("auto", 0.1): "cuda", ("cpu", 0): "cpu", ("cpu", 0.1): "cpu"}
    assert placed("cuda", 1).train.device == "cuda"
    on_cpu = {key(placed(*asked), {}) for asked in (("auto", 0), ("cpu", 0), ("cpu", 1))}
    on_cuda = {key(placed(*asked), {}) for asked in (("auto", 1), ("cuda", 1))}
    assert (len(on_cpu), len(on_cuda)) == (1, 1)
    assert on_cpu != on_cuda


def test_a_gpu_that_no_trial_takes_is_told_before_any_work(project: Project) -> None:
    plan(project, "gpu", {"name": "gpu", "set": {"train.device": "cuda"}})
    failed = project.run(sys.executable, "-m", "flows.sweep", "gpu", check=False)
    assert failed.returncode == 2
    assert failed.stdout == (
        "error: train.device is 'cuda', but a trial takes 0 GPUs; give --gpus-per-trial, or set auto or cpu\n"
    )


def test_faults_are_rows_and_the_others_as_if_there_were_none(project: Project) -> None:
    plan(project, "sound", SOUND)
    plan(project, "faulty", SOUND, DIVERGING, LONG)
    sweep(project, "sound")
    sound = table(project, "sound")
    assert [row["status"] for row in sound] == ["completed"] * 6
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


def test_a_sweep_that_was_killed_goes_on_with_what_is_missing(project: Project) -> None:
    plan(project, "stopped", SOUND, seeds=[3, 4, 5])
    command = [sys.executable, "-m", "flows.sweep", "stopped"]
    with subprocess.Popen(
        command, cwd=project.folder, env=project.env, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any("[3/9]" in line for line in process.stderr)
        below = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
    ended = {path: path.stat().st_mtime_ns for path in project.folder.glob("sweeps/results/stopped/trials/*")}
    assert 3 <= len(ended) < 9
    output = sweep(project, "stopped")
    assert f"{len(ended)} of 9 trials ended in an earlier sweep" in output
    assert all(path.stat().st_mtime_ns == written for path, written in ended.items())
    rows = table(project, "stopped")
    assert [row["status"] for row in rows] == ["completed"] * 9
    assert "9 of 9 trials ended in an earlier sweep" in sweep(project, "stopped")
    assert table(project, "stopped") == rows
    assert psutil.wait_procs(below, timeout=PATIENCE)[1] == [], "nothing of Ray is left"


def test_the_best_row_written_back_is_what_dvc_reproduces(project: Project) -> None:
    tuned = {"name": "adam", "set": {"train.solver": "adam"}, "over": {"solvers.adam.lr": [1e-5, 0.01]}}
    plan(project, "tuned", tuned, tune_seeds=[1], seeds=[2, 3])
    output = sweep(project, "tuned", "--write-best")
    assert "params.yaml has solvers.adam.lr: 0.01 now" in output
    rows = table(project, "tuned")
    parts = [(row["configuration"], row["chosen"], row["seed"], row["part"]) for row in rows]
    low, high = (json.dumps({"solvers.adam.lr": lr}) for lr in (1e-5, 0.01))
    assert parts == [
        ("adam", low, "1", "tuning"),
        ("adam", high, "1", "tuning"),
        ("params.yaml", "{}", "2", "final"),
        ("params.yaml", "{}", "3", "final"),
        ("adam", high, "2", "final"),
        ("adam", high, "3", "final"),
    ]
    project.dvc("repro", "train")
    last = list(csv.DictReader(project.text("reports/training.csv").splitlines()))[-1]
    for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
        assert last[name] == rows[4][name]


def test_what_this_machine_has_not_and_a_silent_server_are_told_in_a_line(project: Project) -> None:
    plan(project, "sound", SOUND)
    command = (sys.executable, "-m", "flows.sweep", "sound")
    failed = project.run(*command, "--cpus-per-trial", "1000", check=False)
    assert failed.returncode == 1
    assert not own_tracebacks(failed.stdout)
    assert "error: a trial takes 1000 CPUs and 0 GPUs; there are " in failed.stdout.splitlines()[-1]
    silent = "PREFECT_API_URL=http://127.0.0.1:9/api"  # nobody listens at port 9
    failed = project.run("env", silent, *command, check=False)
    assert failed.returncode == 1
    assert failed.stdout.startswith("error: Prefect: ")
    assert len(failed.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("about: [", "not valid YAML"),
        ("about: nothing else", "fixed is missing"),
        (None, "there is no such file; sweeps: sweeps/"),
    ],
)
def test_a_plan_that_is_not_possible_is_told_before_any_work(
    project: Project, content: str | None, message: str
) -> None:
    if content is not None:
        (project.folder / "sweeps/wrong.yaml").write_text(content)
    failed = project.run(sys.executable, "-m", "flows.sweep", "wrong" if content else "absent", check=False)
    assert failed.returncode == 2
    lines = failed.stdout.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    assert message in lines[0]
