"""The train stage in several processes: who writes, who speaks, and what is left when one of them dies."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from digits.common import locking
from digits.parameters.schema import write
from tests.digits.training.test_loop import examples
from tests.project import ROOT

SMALL: dict[str, object] = {
    "train.epochs": 60,
    "train.batch_size": 30,
    "train.device": "cpu",
    "train.stream": True,
    "models.mlp.hidden_sizes": [32],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with parameters and data, in which the stage can run."""
    return make_folder(tmp_path / "first")


def make_folder(path: Path) -> Path:
    (path / "data/normalized").mkdir(parents=True)
    for name in ("params.yaml", "versions.yaml"):
        (path / name).write_text((ROOT / name).read_text())
    write(path / "params.yaml", SMALL)
    for name, count in (("train", 305), ("validation", 40)):
        data = examples(count)
        tensors = {"images": data.images, "labels": data.labels}
        statistics = {"mean": torch.tensor([0.1307]).double(), "std": torch.tensor([0.3081]).double()}
        save_file(tensors | statistics, path / f"data/normalized/{name}.safetensors")
    return path


def start(folder: Path, module: str = "stages.train") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.Popen(
        [*command, "-m", module],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=400)
    return output


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in ("models", "reports")
        for path in (folder / name).rglob("*")
    }


def rank(process: subprocess.Popen[str], number: int) -> psutil.Process:
    """The process of this number among those that `torchrun` started."""
    children = psutil.Process(process.pid).children(recursive=True)
    return next(child for child in children if child.environ().get("RANK") == str(number))


def test_a_killed_process_ends_all_and_the_training_goes_on(folder: Path, tmp_path: Path) -> None:
    with start(folder) as process:
        output = finish(process)
    assert process.returncode == 0, output
    assert output.count("training on cpu in 2 processes: 305 images, 40 for validation") == 1
    assert output.count("epoch 60/60") == 1
    undisturbed = files(folder)
    assert sorted(undisturbed) == ["models/model.safetensors", "reports/training.csv"]

    other = make_folder(tmp_path / "second")
    with start(other) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("epoch 2/"):
                break
        other_rank, first = rank(process, 1), rank(process, 0)
        other_rank.kill()
        output = finish(process)
    assert process.returncode != 0
    assert not first.is_running()
    assert "SIGKILL" in output
    assert list(files(other)) == ["models/.training.part"]
    with start(other) as process:
        output = finish(process)
    assert process.returncode == 0, output
    assert output.count("of an interrupted training") == 1
    assert files(other) == undisturbed


def only_error(output: str) -> str:
    lines = re.findall("^error: .*$", output, re.MULTILINE)
    assert len(lines) == 1, output
    # torchrun reports as well, but later.
    assert output.index(lines[0]) < output.index("ChildFailedError")
    assert output.count("Traceback") <= 1, output
    return str(lines[0])


def test_what_cannot_be_is_one_line(folder: Path) -> None:
    write(folder / "params.yaml", {"train.batch_size": 1})
    with start(folder) as process:
        error = only_error(finish(process))
    assert process.returncode != 0
    assert error.startswith("error: a batch has 1 images, too few for 2 processes")
    assert files(folder) == {}


def test_a_taken_workspace_is_one_line(folder: Path) -> None:
    (folder / ".dvc").mkdir()
    holder = locking.Holder.process("a test", os.getpid())
    with locking.take(folder / ".dvc/tmp/pipeline.lock", holder), start(folder) as process:
        error = only_error(finish(process))
    assert error.startswith(f"error: a test of process {os.getpid()}")
    assert files(folder) == {}
    assert locking.read(folder / ".dvc/tmp/pipeline.lock") == holder


def test_other_stages_are_one_process(folder: Path) -> None:
    with start(folder, "stages.evaluate") as process:
        assert only_error(finish(process)).startswith("error: torchrun is for stages.train")
