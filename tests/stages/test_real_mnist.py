"""The whole pipeline on the real MNIST, through Prefect and through DVC alone, as its users run it."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest
import torch
from dvc.repo import Repo  # type: ignore[import-untyped]

from digits.common.files import sha256
from digits.data.datasets import read_raw
from tests.flows.output import own_tracebacks
from tests.flows.servers import Server
from tests.project import STAGES, Project, stages_run
from tests.stages.outputs import after_training, hashes


@pytest.fixture(scope="session")
def own_copy(default_run: Project, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project after its first run, for the tests of this process, with a server to report to."""
    copy = default_run.copy(tmp_path_factory.mktemp("mnist") / "project")
    copy.env["PREFECT_API_URL"] = server.url
    return copy


@pytest.fixture
def project(own_copy: Project) -> Iterator[Project]:
    """The project after its first run; whatever a test changes is taken back."""
    commit = own_copy.run("git", "rev-parse", "HEAD").stdout.strip()
    yield own_copy
    own_copy.run("git", "reset", "--quiet", "--hard", commit)
    with Repo(str(own_copy.folder)) as repo:
        repo.checkout(force=True)


def test_the_first_run_trains_evaluates_exports_and_proves(default_run: Project, project: Project) -> None:
    first_run = (default_run.folder.parent / "said").read_text()
    metrics = json.loads(project.text("reports/metrics.json"))
    parity = json.loads(project.text("reports/parity.json"))
    assert 0.942 <= metrics["accuracy"] <= 0.952
    assert metrics["loss"] == pytest.approx(0.172, abs=0.01)
    calibration = json.loads(project.text("reports/calibration.json"))
    before, after = calibration["before"], calibration["after"]
    assert calibration["classes_changed"] == 0
    assert before["negative_log_likelihood"] == pytest.approx(metrics["loss"], rel=1e-6)
    assert after["negative_log_likelihood"] < before["negative_log_likelihood"]
    assert after["expected_calibration_error"] < before["expected_calibration_error"]
    assert 0.004 < calibration["refused"] < 0.02
    assert 0.985 < calibration["sets"]["coverage"] < 0.997
    assert parity["passed"] is True
    assert all(c["refusal_flips"] == 0 and c["familiarity_ratio"] <= 4 for c in parity["configurations"])
    assert parity["class_flips"] == 0
    assert parity["accuracy_runtime"] == parity["accuracy_torch"] == metrics["accuracy"]
    tried = {(c["optimization"], c["batch_size"]) for c in parity["configurations"] if c["images"] == 10000}
    assert tried == set(itertools.product(("disabled", "enabled"), (1, 7, 64, 1000, 10000)))
    assert "CPUExecutionProvider" in {c["provider"] for c in parity["configurations"]}
    assert "94." in first_run.split("accuracy")[-1]
    assert "epoch 5/5" in first_run, "the stage's own lines are in the log"


def test_the_table_of_recipes_repeats_a_run(project: Project) -> None:
    said = project.run(sys.executable, "-m", "benchmarks.recipes", "speedrun", "--seeds", "42").stdout
    found = re.search(
        r"^speedrun +([\d.]+)% .* 1 seeds\) .* s  flips 0\n  its claim +([\d.]+)% ", said, re.MULTILINE
    )
    assert found, said
    assert float(found[1]) == pytest.approx(float(found[2]), abs=0.5)


def test_the_onnx_file_is_right_for_a_stranger(project: Project) -> None:
    session = onnxruntime.InferenceSession(project.folder / "models/model.onnx")
    test = read_raw(project.folder / "data/raw", "t10k")
    (answers,) = session.run(["log_probabilities"], {"image": test.images[:, None]})
    accuracy = float((answers.argmax(1) == test.labels).mean())
    assert accuracy == json.loads(project.text("reports/metrics.json"))["accuracy"]
    assert session.get_modelmeta().custom_metadata_map["mean"] == "0.1307"


def test_a_second_run_finds_every_stage_up_to_date(project: Project) -> None:
    on_its_own = ("env", "--unset=PREFECT_API_URL", sys.executable, "-m", "flows")
    output = project.run(*on_its_own).stdout
    assert output.split("accuracy")[-1].count("up to date") == len(STAGES)
    assert ": nothing to run, all is up to date\n" in output
    assert stages_run(project.dvc("repro").stdout) == []


def test_a_comment_runs_nothing(project: Project) -> None:
    project.replace("params.yaml", "train:\n", "# a remark\ntrain: # another\n")
    assert stages_run(project.dvc("repro").stdout) == []


def test_the_gate_runs_evaluate_only_and_says_both_numbers(project: Project) -> None:
    before = hashes(project)
    project.replace("params.yaml", "min_accuracy: 0.93", "min_accuracy: 0.94")
    assert stages_run(project.dvc("repro").stdout) == ["parameters", "evaluate"]
    project.replace("params.yaml", "min_accuracy: 0.94", "min_accuracy: 0.999")
    failed = project.dvc("repro", check=False)
    assert failed.returncode != 0
    assert stages_run(failed.stdout) == ["parameters", "evaluate"]
    accuracy = json.loads(project.text("reports/metrics.json"))["accuracy"]
    assert f"error: test accuracy {accuracy:.4f} is below evaluate.min_accuracy 0.9990" in failed.stdout
    assert hashes(project) == before, "a refused model is still there to be looked at"


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(project: Project) -> None:
    before = hashes(project)
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "stages.train"],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(line.startswith("epoch 2/5") for line in process.stdout)
        process.kill()
    output = project.dvc("repro", "--force", "--single-item", "train").stdout
    assert "of an interrupted training" in output
    assert "epoch 2/5" not in output
    assert hashes(project) == before
    assert not (project.folder / "models/.training.part").exists()


def test_an_empty_worker_takes_everything_from_the_remote(project: Project, tmp_path: Path) -> None:
    remote = ("remote", "add", "--local", "--default", "store", str(tmp_path / "remote"))
    project.dvc(*remote)
    project.run(sys.executable, "-m", "flows")
    project.run("git", "clone", "--quiet", ".", str(tmp_path / "worker"))
    worker = Project(tmp_path / "worker", Path(project.env["HOME"]))
    worker.dvc(*remote)
    for path in (worker.folder / "reports").glob("*.*"):
        path.unlink()
    output = worker.run(sys.executable, "-m", "flows").stdout
    assert "  ran\n" not in output
    assert output.count("  up to date\n") + output.count("  restored from cache\n") == len(STAGES), output
    assert hashes(worker) == hashes(project)
    project.dvc("remote", "remove", "--local", "store")


def test_the_release_and_the_artifact_are_the_model(project: Project, tmp_path: Path) -> None:
    model = sha256(project.folder / "models/model.onnx")
    assert sha256(project.folder / "models/release/model.onnx") == model
    assert "| accuracy | 94." in project.text("models/release/README.md")
    subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=project.folder / "models/release", check=True
    )
    project.dvc("remote", "add", "--default", "store", str(tmp_path / "remote"))
    project.dvc("push", "models/model.onnx")
    project.run("git", "commit", "--all", "--quiet", "--message=a remote")
    project.run("git", "tag", "--annotate", "digits-classifier@v1.0.0", "--message=first")
    project.dvc("artifacts", "get", str(project.folder), "digits-classifier", "--out", str(tmp_path / "got"))
    assert sha256(tmp_path / "got") == model
    project.run("git", "revert", "--no-edit", "HEAD")


def test_a_recipe_reaches_its_gate_and_the_tutorial_takes_it_back(project: Project) -> None:
    before, text = hashes(project), project.text("params.yaml")
    output = project.run(sys.executable, "-m", "flows", "--recipe", "speedrun").stdout
    assert "params.yaml has train.solver: adamw now" in output
    assert json.loads(project.text("reports/metrics.json"))["accuracy"] >= 0.975
    assert json.loads(project.text("reports/parity.json"))["passed"] is True
    output = project.run(sys.executable, "-m", "flows", "--recipe", "tutorial").stdout
    assert output.split("accuracy")[-1].count("restored from cache") == len(after_training()) + 2
    # A comment may have moved to the right.
    assert project.text("params.yaml").split() == text.split()
    assert hashes(project) == before


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "[256, 128, 64]\n    dropout: 0.2",
            "[256]\n    dropout: 1.5",
            "models.mlp.dropout is 1.5; allowed: less than 1",
        ),
        ("train:\n", "train: {\n", "line 37"),
    ],
)
def test_bad_parameters_stop_dvc_and_prefect_before_any_work(
    project: Project, old: str, new: str, expected: str
) -> None:
    before = hashes(project)
    project.replace("params.yaml", old, new)
    for command in (["-m", "dvc", "repro"], ["-m", "flows"]):
        failed = project.run(sys.executable, *command, check=False)
        assert failed.returncode != 0
        assert expected in failed.stdout
        assert "params.yaml" in failed.stdout
        assert not own_tracebacks(failed.stdout)
        assert hashes(project) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_one_line_and_costs_nothing(project: Project) -> None:
    before = hashes(project)
    project.replace("params.yaml", "device: auto", "device: cuda")
    failed = project.dvc("repro", check=False)
    assert failed.returncode != 0
    assert "error: train.device is 'cuda', but PyTorch" in failed.stdout
    assert "error: `make restore` puts the outputs of before back" in failed.stdout
    assert not own_tracebacks(failed.stdout)
    project.run(sys.executable, "-m", "flows.restore")
    assert hashes(project) == before


def test_a_changed_onnx_weight_is_caught(project: Project) -> None:
    path = project.folder / "models/model.onnx"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4] = b"\x00\x00\x80\x40"  # one weight becomes 4.0
    path.write_bytes(content)
    failed = project.run(sys.executable, "-m", "stages.verify", check=False)
    assert failed.returncode == 1
    assert "error: the ONNX model does not compute what PyTorch computes" in failed.stdout
    assert json.loads(project.text("reports/parity.json"))["passed"] is False
