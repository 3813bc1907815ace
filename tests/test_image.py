"""The container image: what is in it, and that it works read-only and for anybody."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from digits.common.files import sha256
from digits.parameters.schema import write
from tests.containers import IMAGE
from tests.patience import PATIENCE
from tests.project import STAGES, Project

WITHOUT_CUDA = "digits:cpu"
QUICKLY: dict[str, object] = {
    "train.epochs": 1,
    "evaluate.min_accuracy": 0.5,
    "verify.batch_sizes": [64],
    "verify.near_ties": 10,
}


@pytest.fixture
def volume(engine: docker.DockerClient) -> Iterator[str]:
    volume = engine.volumes.create()
    yield str(volume.name)
    volume.remove()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "run", "--rm", "--read-only", "--tmpfs=/tmp", *arguments]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE
    )


def test_nobody_is_root_and_nothing_is_left_of_the_building(engine: docker.DockerClient) -> None:
    image = engine.images.get(IMAGE)
    assert image.attrs["Config"]["User"] == "1000:1000"
    assert {f"org.opencontainers.image.{name}" for name in ("title", "description", "revision")} <= set(
        image.labels
    )
    found = run(
        IMAGE, "sh", "-c", "command -v cc gcc g++ clang make; find /app -name '*.git*' -o -name tests"
    )
    assert found.stdout == ""
    assert run("--entrypoint=git", IMAGE, "--version").returncode == 0, "for a stage of a docker pool"


def test_the_whole_pipeline_runs_read_only_for_any_user(
    engine: docker.DockerClient, volume: str, default_run: Project, tmp_path: Path
) -> None:
    here = default_run.copy(tmp_path / "project")
    write(here.folder / "params.yaml", QUICKLY)
    here.dvc("repro", "train")
    data = default_run.folder / "data"
    fetched = (f"--volume={data / 'raw'}:/raw:ro", f"--volume={data / 'web_runtime'}:/web_runtime:ro")
    mounts = ("--network=none", f"--volume={volume}:/workspace", *fetched)
    mirrors = {"download.mirrors": ["file:///raw"], "web_runtime.mirrors": ["file:///web_runtime"]}
    values = [f"{key}={json.dumps(value)}" for key, value in (QUICKLY | mirrors).items()]
    command = ("python", "-m", "flows", *(word for value in values for word in ("--set", value)))
    first = run("--user=4321:4321", *mounts, IMAGE, *command)
    assert first.stdout.count("  ran") == len(STAGES), first.stdout
    second = run("--user=4321:4321", *mounts, IMAGE)
    assert second.stdout.count("up to date") >= len(STAGES), second.stdout
    found = run(*mounts, IMAGE, "md5sum", "models/model.safetensors")
    assert "error: user 1000 cannot write /workspace/" in found.stdout
    assert found.returncode == 1
    found = run("--user=4321:4321", *mounts, IMAGE, "stat", "-c", "%u", "models/model.safetensors")
    assert found.stdout == "4321\n"
    found = run("--user=4321:4321", *mounts, IMAGE, "sha256sum", "models/model.safetensors")
    assert found.stdout.split()[0] == sha256(here.folder / "models/model.safetensors")


def test_the_image_without_cuda_has_none_of_it_and_runs_the_pipeline(
    engine: docker.DockerClient, volume: str, default_run: Project
) -> None:
    try:
        image = engine.images.get(WITHOUT_CUDA)
    except ImageNotFound:
        pytest.skip(f"there is no image {WITHOUT_CUDA} here: `make image TARGET=cpu` builds it")
    assert image.attrs["Size"] < engine.images.get(IMAGE).attrs["Size"] / 2
    data = default_run.folder / "data"
    mounts = ("--network=none", f"--volume={volume}:/workspace", f"--volume={data}:/data:ro", WITHOUT_CUDA)
    packages = run(*mounts, "python", "-m", "pip", "list").stdout
    assert re.search(r"^torch .*\+cpu$", packages, re.MULTILINE)
    assert not re.search(r"^(cuda|nvidia|onnxruntime-gpu|triton)", packages, re.MULTILINE)
    mirrors = {"download.mirrors": ["file:///data/raw"], "web_runtime.mirrors": ["file:///data/web_runtime"]}
    values = [f"{key}={json.dumps(value)}" for key, value in (QUICKLY | mirrors).items()]
    done = run(*mounts, "python", "-m", "flows", *(word for value in values for word in ("--set", value)))
    assert done.stdout.count("  ran") == len(STAGES), done.stdout
    assert json.loads(run(*mounts, "cat", "reports/metrics.json").stdout)["accuracy"] > 0.8
    assert json.loads(run(*mounts, "cat", "reports/parity.json").stdout)["class_flips"] == 0


def test_a_newer_image_brings_its_project_and_keeps_the_results(
    engine: docker.DockerClient, volume: str
) -> None:
    mount = f"--volume={volume}:/workspace"
    age = "rm flows/pipeline.py; touch flows/older.py; sha256sum flows/older.py >> .dvc/image.sums"
    age += "; echo old > .dvc/image"
    old = f"{age}; echo mine > dvc.lock; mkdir models; echo model > models/m"
    assert run(mount, IMAGE, "sh", "-c", old).returncode == 0
    found = run(mount, IMAGE, "sh", "-c", "ls flows; cat dvc.lock models/m")
    assert "pipeline.py" in found.stdout
    assert "older.py" not in found.stdout
    assert found.stdout.endswith("mine\nmodel\n")


def test_a_mounted_checkout_stays_as_it_is(engine: docker.DockerClient, tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    found = run(f"--volume={tmp_path}:/workspace", "--user=0", IMAGE, "ls", "-A")
    assert found.stdout == "dvc.yaml\n"


def test_a_stop_is_heard(engine: docker.DockerClient) -> None:
    container = engine.containers.run(
        IMAGE, ["python", "-c", "import time; print('up', flush=True); time.sleep(100000)"], detach=True
    )
    try:
        next(container.logs(stream=True))
        container.stop(timeout=int(PATIENCE))  # then it would be killed, and its code be 137
        assert container.wait()["StatusCode"] == 143
    finally:
        container.remove(force=True, v=True)


def test_the_health_check_tells_the_two_apart(engine: docker.DockerClient) -> None:
    check = "python -I /app/container/health.py"
    assert run(IMAGE, "sh", "-c", check).returncode == 0
    ill = run("--env=HEALTH_URL=http://127.0.0.1:9/health", IMAGE, "sh", "-c", check)
    assert ill.returncode == 1
    assert "error: http://127.0.0.1:9/health: " in ill.stdout
