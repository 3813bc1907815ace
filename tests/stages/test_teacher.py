"""`train.teacher` at the command line, on a few images made here."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from digits.data.datasets import Dataset, to_tensors
from digits.networks import model_file
from digits.parameters import schema as parameters
from tests.project import ROOT

SMALL = {"train.epochs": 1, "models.mlp.hidden_sizes": [8], "train.device": "cpu"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project without DVC, with 64 images of noise."""
    for name in ("data/normalized", "models", "reports", "teachers"):
        (tmp_path / name).mkdir(parents=True)
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (64, 28, 28), dtype=np.uint8)
    data = Dataset(images, random.integers(0, 10, 64, dtype=np.uint8))
    for name, part in (("train", data), ("validation", data.subset(np.arange(0)))):
        save_file(to_tensors(part, 0.1307, 0.3081), tmp_path / f"data/normalized/{name}.safetensors")
    for name in ("params.yaml", "versions.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    for code in ("digits", "stages"):
        (tmp_path / code).symlink_to(ROOT / code)
    return tmp_path


def train(folder: Path, **overrides: object) -> subprocess.CompletedProcess[str]:
    parameters.write(folder / "params.yaml", SMALL | {f"train.{k}": v for k, v in overrides.items()})
    command = [sys.executable, "-m", "stages.train"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400)


def test_a_student_says_whose_it_is(folder: Path) -> None:
    assert train(folder, seed=1).returncode == 0
    alone = model_file.load(folder / "models/model.safetensors")
    assert "distillation" not in alone.parameters
    (folder / "models/model.safetensors").rename(folder / "teachers/first.safetensors")
    done = train(folder, teacher="first.safetensors")
    assert done.returncode == 0, done.stderr
    student = model_file.load(folder / "models/model.safetensors")
    assert student.parameters["distillation"]["temperature"] == 4.0
    assert len(student.parameters["distillation"]["teacher_sha256"]) == 64
    header = (folder / "reports/training.csv").read_text().splitlines()[0]
    assert header.endswith("loss.cross_entropy,loss.distillation")


def test_a_teacher_that_is_not_there_is_one_line(folder: Path) -> None:
    done = train(folder, teacher="missing.safetensors")
    assert done.returncode == 1
    assert done.stderr == (
        "error: train.teacher is 'missing.safetensors', but there is no teachers/missing.safetensors; copy a "
        "trained model.safetensors to it\n"
    )


def test_a_teacher_of_other_images_is_one_line(folder: Path) -> None:
    assert train(folder).returncode == 0
    model = model_file.load(folder / "models/model.safetensors")
    model_file.save(model._replace(mean=0.5), folder / "teachers/other.safetensors")
    done = train(folder, teacher="other.safetensors")
    assert done.returncode == 1
    assert done.stderr == (
        "error: teachers/other.safetensors takes images normalized with mean 0.5 and std 0.3081, but "
        "these are with 0.1307 and 0.3081; train the teacher with these, or set train.teacher: none\n"
    )


def test_a_teacher_of_other_classes_is_one_line(folder: Path) -> None:
    assert train(folder).returncode == 0
    model = model_file.load(folder / "models/model.safetensors")
    letters = model.about.model_copy(update={"classes": list("abcdefghij"), "title": "letters"})
    model_file.save(model._replace(about=letters), folder / "teachers/letters.safetensors")
    done = train(folder, teacher="letters.safetensors")
    assert done.returncode == 1
    assert done.stderr == (
        "error: teachers/letters.safetensors tells 10 classes apart (letters), but there are 10: 0, 1, 2, 3, "
        "4, 5, 6, 7, 8, 9; train the teacher on these, or set train.teacher: none\n"
    )


def test_a_file_that_is_no_model_is_one_line(folder: Path) -> None:
    (folder / "teachers/broken.safetensors").write_bytes(b"nonsense")
    done = train(folder, teacher="broken.safetensors")
    assert done.returncode == 1
    assert done.stderr.startswith("error: teachers/broken.safetensors is not a model of this project")
    assert done.stderr.count("\n") == 1
