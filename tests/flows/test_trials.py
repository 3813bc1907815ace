"""What a sweep hands to Ray: the code, by Ray's own packager, and the GPUs that a trial takes."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ray._private.runtime_env.packaging import create_package

from flows.trials import NOT_SENT, Resources
from tests.project import ROOT


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Ray sends to other machines, unpacked."""
    folder = tmp_path_factory.mktemp("package")
    create_package(str(ROOT), folder / "sent.zip", include_gitignore=True, excludes=NOT_SENT)
    with zipfile.ZipFile(folder / "sent.zip") as archive:
        archive.extractall(folder / "sent")
    return folder / "sent"


def test_a_trial_can_be_imported_from_what_is_sent(package: Path) -> None:
    code = "import stages.trial, flows.trials, digits; print(digits.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(package / "digits/__init__.py")


def test_every_choice_is_sent_and_results_are_not(package: Path) -> None:
    for kind in ("models", "solvers", "losses", "schedules"):
        of_ours = {path.name for path in (ROOT / "digits" / kind).glob("*.py")}
        assert {path.name for path in (package / "digits" / kind).glob("*.py")} == of_ours
    for name in (".git", ".dvc", ".venv", "data", "models", "reports", "tests", "web"):
        assert not (package / name).exists(), name
    assert sum(path.stat().st_size for path in package.rglob("*") if path.is_file()) < 5e6


@pytest.mark.parametrize(
    ("gpus", "asked_for", "device"),
    [
        (0.0, "auto", "cpu"),
        (0.0, "cpu", "cpu"),
        (0.5, "auto", "cuda"),
        (1.0, "cuda", "cuda"),
        (1.0, "cpu", "cpu"),
    ],
)
def test_the_device_of_a_trial_is_known_before_it_runs(gpus: float, asked_for: str, device: str) -> None:
    assert Resources(gpus=gpus).device(asked_for) == device


SEEN = """
import os
from flows.trials import Resources  # before Ray, as a sweep does
import ray
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
seen = ray.remote(num_cpus=1, num_gpus=Resources().gpus)(lambda: repr(os.environ.get("CUDA_VISIBLE_DEVICES")))
print("a trial sees", ray.get(seen.remote()))
ray.shutdown()
"""


def test_a_trial_without_gpus_sees_none() -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0", "RAY_worker_niceness": "0"}
    done = subprocess.run(
        [sys.executable, "-c", SEEN], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert "a trial sees ''" in done.stdout, done.stdout + done.stderr
