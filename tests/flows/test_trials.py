"""What trials are sent, what they see, and what tells them from each other."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ray._private import ray_constants
from ray._private.runtime_env import packaging

from digits.common.files import files_below
from digits.parameters.schema import Parameters, read
from flows.trials import Resources, key
from tests.project import ROOT, Project, copy_project

TRIAL_ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy, flows.trials, stages.trial
from digits.common.about import About
from digits.data.datasets import Dataset
from digits.parameters.schema import read
ours = [m.__file__ for name, m in sys.modules.items() if name.split(".")[0] in ("digits", "stages", "flows")]
assert all(file.startswith(sys.argv[1]) for file in ours), ours
values = read(sys.argv[2], {"normalize.validation_size": 100, "train.epochs": 1})
images = numpy.zeros((300, 28, 28), "uint8")
images[:, 9] = 255
data = Dataset(images, numpy.zeros(300, "uint8"))
print(stages.trial.run(values.training, values.normalize, data, About.unnamed())["status"])
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


@pytest.fixture(scope="module")
def project(costly: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("trials")
    return copy_project(folder / "project", folder / "home")


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
    teachers = {f"teachers/{path.name}" for path in (folder / "teachers").iterdir()}
    assert {"teachers/none", "teachers/cnn.safetensors"} < teachers
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
