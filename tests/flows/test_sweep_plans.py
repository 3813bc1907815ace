"""Sweeps that cannot be made are told before any work."""

from pathlib import Path

import pytest

from flows.sweep import main
from tests.flows.sweeping import SOUND, plan
from tests.project import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "sweeps").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of a sweep that it does not begin."""
    assert main([name]) == 2
    said = capsys.readouterr()
    assert not said.out
    return said.err


def test_a_gpu_that_no_trial_takes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan(folder, "gpu", {"name": "gpu", "set": {"train.device": "cuda"}})
    assert told("gpu", capsys) == (
        "error: train.device is 'cuda', but a trial takes 0 GPUs; give --gpus-per-trial, or set auto or cpu\n"
    )


def test_images_that_are_missing_and_results_that_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(folder, "unwritable", SOUND)
    assert told("unwritable", capsys) == (
        'error: data/raw is missing; run: make pipeline ARGS="--stages download"\n'
    )
    (folder / "data/raw").mkdir(parents=True)
    (folder / "sweeps/results").mkdir()
    (folder / "sweeps/results/unwritable").write_text("no folder")
    assert told("unwritable", capsys) == ("error: sweeps/results/unwritable, where results go: File exists\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("about: [", "not valid YAML"),
        ("about: nothing else", "fixed is missing"),
        (None, "there is no sweep 'absent'; there are other"),
    ],
)
def test_a_plan_that_is_not_possible(
    folder: Path, content: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(folder, "other", SOUND)
    if content is not None:
        (folder / "sweeps/wrong.yaml").write_text(content)
    lines = told("wrong" if content else "absent", capsys).splitlines()
    assert all(line.startswith("error: ") for line in lines)
    assert message in lines[0]
