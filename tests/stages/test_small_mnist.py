"""The pipeline through DVC on a tenth of the real MNIST: elsewhere, with other values, and again."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.project import STAGES, Project, stages_run
from tests.stages.outputs import after_training, hashes


@pytest.fixture
def project(small_run: Project, tmp_path: Path) -> Project:
    """The project after its first run, for this test alone."""
    return small_run.copy(tmp_path / "project")


ELSEWHERE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "TZ": "Pacific/Chatham"}


def test_another_path_locale_time_zone_umask_and_number_of_cores_give_the_same_bytes(
    small_run: Project, tmp_path: Path
) -> None:
    small_run.run("git", "clone", "--quiet", ".", str(tmp_path / "elsewhere"))
    clone = Project(tmp_path / "elsewhere", Path(small_run.env["HOME"]))
    clone.env |= ELSEWHERE
    core = str(min(os.sched_getaffinity(0))) if sys.platform == "linux" else ""
    on_one_core = ["taskset", "--cpu-list", core] if core and shutil.which("taskset") else []
    command = [*on_one_core, sys.executable, "-m", "dvc", "repro", "--force"]
    output = clone.run("sh", "-c", 'umask 077; exec "$@"', "sh", *command).stdout
    assert stages_run(output) == STAGES
    assert hashes(clone) == hashes(small_run)
    assert clone.run("git", "status", "--porcelain").stdout == "", "dvc.lock is true"


def test_an_experiment_with_another_solver_runs_from_train_on_and_can_be_compared(project: Project) -> None:
    before, metrics = hashes(project), json.loads(project.text("reports/metrics.json"))
    settings = ("--set-param=train.solver=adamw", "--set-param=train.epochs=1")
    high = "--set-param=evaluate.min_accuracy=0.999"
    refused = project.dvc("exp", "run", *settings, high, check=False)
    assert refused.returncode != 0
    trained = {"parameters", "train", "crossfit", "calibrate"}
    assert {*stages_run(refused.stdout)} == {*trained, "evaluate"}, "the gate stays shut"
    assert "is below evaluate.min_accuracy 0.9990" in refused.stdout
    lower = "--set-param=evaluate.min_accuracy=0.5"
    output = project.dvc("exp", "run", "--name", "short", *settings, lower).stdout
    assert {*stages_run(output)} == {"parameters", *after_training()} - {"crossfit", "calibrate"}, (
        "the training is restored"
    )
    assert hashes(project)["models/model.safetensors"] != before["models/model.safetensors"]
    steps = list(csv.DictReader(project.text("reports/training.csv").splitlines()))
    assert {step["lr"] for step in steps} == {"0.001"}, "the solver's own"
    rows = list(csv.DictReader(project.dvc("exp", "show", "--csv").stdout.splitlines()))
    short = next(row for row in rows if row["Experiment"] == "short")
    assert short["train.epochs"] == "1"
    assert float(short["accuracy"]) == json.loads(project.text("reports/metrics.json"))["accuracy"]
    difference = json.loads(project.dvc("metrics", "diff", "--json").stdout)["reports/metrics.json"]
    assert difference["accuracy"]["old"] == metrics["accuracy"]
    assert difference["accuracy"]["new"] == float(short["accuracy"])
    project.dvc("plots", "show", "--out", "plots")
    page = project.text("plots/index.html")
    for title in ("Loss by step", "Confusion on the test set", "mistakes.png"):
        assert title in page
    shutil.rmtree(project.folder / "plots")


def test_what_has_been_trained_before_is_not_trained_again(project: Project) -> None:
    before, text = hashes(project), project.text("params.yaml")
    project.replace("params.yaml", "epochs: 3", "epochs: 1")
    assert "train" in project.dvc("repro").stdout
    assert hashes(project)["models/model.safetensors"] != before["models/model.safetensors"]
    (project.folder / "params.yaml").write_text(text)
    assert stages_run(project.dvc("repro").stdout) == []
    assert hashes(project) == before
