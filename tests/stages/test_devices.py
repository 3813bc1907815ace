"""`train.device: cuda` is for the stage that trains; the others run where there is no GPU, too."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from digits.parameters import schema as parameters
from tests.project import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project without DVC and without data that asks for a GPU."""
    for name in ("params.yaml", "versions.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    for code in ("digits", "stages"):
        (tmp_path / code).symlink_to(ROOT / code)
    (tmp_path / "images").symlink_to(ROOT / "images")
    parameters.write(tmp_path / "params.yaml", {"train.device": "cuda"})
    return tmp_path


def stage(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"stages.{name}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)


def test_the_training_tells_of_more_threads_than_cores_before_it_reads_anything(folder: Path) -> None:
    parameters.write(folder / "params.yaml", {"train.device": "cpu", "train.threads": 1000})
    done = stage(folder, "train")
    assert done.stderr.startswith("warning: train.threads is 1000, but this process may use ")
    assert "data/normalized/train.safetensors is missing" in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_only_the_training_needs_the_gpu_that_is_asked_for(folder: Path) -> None:
    assert stage(folder, "parameters").returncode == 0
    for name in ("normalize", "evaluate", "export", "verify", "report"):
        done = stage(folder, name)  # as far as its data, which is not here
        assert done.returncode == 1
        assert (
            "is missing; `dvc repro` runs the stages that make it" in done.stderr
            or "is not a model" in done.stderr
        )
    done = stage(folder, "train")
    assert done.returncode == 1
    assert done.stderr.startswith("error: train.device is 'cuda', but PyTorch ")
    assert done.stderr.count("\n") == 1
