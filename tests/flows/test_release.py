"""models/release/: whole, of one run, and only what passed all gates."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flows import events, release, signing
from flows.pipeline import pipeline
from flows.workspace import model_of
from prefect_dvc.workspace import Workspace
from tests.flows import releasing
from tests.flows.releasing import accuracy, publish, released, run_stages
from tests.project import ROOT

FILES = {
    "README.md",
    "SHA256SUMS",
    "bom.cdx.json",
    "confusion_matrix.png",
    "data.json",
    "dvc.lock",
    "metrics.json",
    "mistakes.png",
    "model.onnx",
    "parameters.json",
    "parity.json",
    "provenance.json",
}


def test_a_release_is_whole_and_says_what_it_is(releasable: Workspace) -> None:
    found = publish(releasable)
    folder = Path("models/release")
    assert {path.name for path in folder.iterdir()} == FILES
    assert (found.accuracy, found.best_before, found.is_new) == (0.95, None, True)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True)
    assert (folder / "SHA256SUMS").read_text().count("\n") == len(FILES) - 1
    card = (folder / "README.md").read_text()
    head = YAML(typ="safe").load(card.split("---\n")[1])
    (figure, _) = head["model-index"][0]["results"][0]["metrics"]
    assert figure == {"type": "accuracy", "name": "accuracy", "value": 0.95}
    assert (head["datasets"], head["tags"]) == (["ylecun/mnist"], ["onnx", "digits", "mnist"])
    for text in ("# digits\n", "Tells digits apart.", "| accuracy | 95.00% |", "| `train.epochs` | `5` |"):
        assert text in card
    assert hashlib.sha256(b"a model").hexdigest() in card
    assert "Trained and measured on MNIST; 10 classes: 0, 1, 2" in card
    assert "MNIST: 7 images to train on, 10 to test." in card
    for name, digest in (
        ("t10k-images-idx3-ubyte", "ab"),
        ("train.safetensors", "cd"),
        ("test.safetensors", "ef"),
    ):
        assert f"| `{name}` | `{digest * 32}` |" in card
    assert json.loads((folder / "parameters.json").read_text())["evaluate"]["train"]["epochs"] == 5


def test_the_same_outputs_are_the_same_release(releasable: Workspace) -> None:
    first = publish(releasable)
    second = publish(releasable)
    assert (second.name, second.is_new) == (first.name, False)
    assert released() == [first.name]


def test_what_is_published_is_known_to_be(releasable: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(releasable.project)
    assert model
    assert not release.is_published(releasable.folder, model)
    publish(releasable)
    assert release.is_published(releasable.folder, model)
    assert not list(Path("models/releases").glob(".*.part")), "looking leaves nothing behind"
    monkeypatch.setenv(signing.KEY, "signing.key")
    assert not release.is_published(releasable.folder, model), "there is a key, and it is not signed"
    monkeypatch.delenv(signing.KEY)
    releasing.write(releasable.folder, accuracy="0.96")
    run_stages(releasable)
    assert not release.is_published(releasable.folder, model)


def test_a_reader_sees_one_release_while_others_are_published(releasable: Workspace) -> None:
    publish(releasable)
    reading, seen = threading.Event(), []

    def read() -> None:
        while not reading.is_set():
            folder = Path("models/release").resolve()
            sums = subprocess.run(["sha256sum", "--check", "--status", "SHA256SUMS"], cwd=folder)
            seen.append((sums.returncode, accuracy(folder)))

    reader = threading.Thread(target=read)
    reader.start()
    for value in ("0.96", "0.97"):
        Path("accuracy").write_text(value)
        run_stages(releasable)
        publish(releasable)
    reading.set()
    reader.join()
    assert {code for code, _ in seen} == {0}
    assert accuracy(Path("models/release")) == 0.97


def test_old_releases_go_after_a_while_and_one_that_comes_again_stays(releasable: Workspace) -> None:
    names = []
    for value in ("0.91", "0.92", "0.93", "0.94", "0.93"):
        Path("accuracy").write_text(value)
        run_stages(releasable)
        names.append(publish(releasable).name)
    assert set(released()) == set(names[1:])
    assert len(set(names[1:])) == release.KEPT
    assert accuracy(Path("models/release")) == 0.93


@pytest.mark.usefixtures("prefect_server")
def test_only_a_run_of_all_stages_that_passed_is_published(releasable: Workspace) -> None:
    state: Any = pipeline(stages=["export"], return_state=True)
    assert state.is_completed()
    assert not Path("models/release").exists()
    Path("accuracy").write_text("bad")
    assert pipeline(return_state=True).is_failed()
    assert not Path("models/release").exists()
    Path("accuracy").write_text("0.95")
    assert pipeline(return_state=True).is_completed()
    assert accuracy(Path("models/release")) == 0.95


def test_a_release_is_compared_with_the_best_one_before(releasable: Workspace) -> None:
    """0.4 points less every night are noticed, also when the best release is long gone."""
    found = []
    for value in ("0.96", "0.956", "0.952", "0.948", "0.944"):
        Path("accuracy").write_text(value)
        run_stages(releasable)
        found.append(publish(releasable))
    assert found[0].best_before is None
    assert [f.best_before for f in found[1:]] == [release.Published(found[0].name, 0.96)] * 4
    assert found[0].name not in released()


def test_without_a_note_of_the_best_the_last_release_counts(releasable: Workspace) -> None:
    first = publish(releasable)
    (releasable.folder / release.BEST).unlink()
    Path("accuracy").write_text("0.9")
    run_stages(releasable)
    assert publish(releasable).best_before == release.Published(first.name, 0.95)


def test_git_that_does_not_answer_costs_a_message_its_commit_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*command: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired("git", 10)

    monkeypatch.delenv("DIGITS_COMMIT", raising=False)
    monkeypatch.setattr(subprocess, "run", silent)
    assert events._commit() is None


@pytest.mark.usefixtures("prefect_server")
def test_one_release_that_is_less_accurate_is_told_once(
    releasable: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    monkeypatch.setattr("flows.events.accuracy_dropped", lambda found, *_: told.append(found.accuracy))
    for value in ("0.95", "0.948", "0.946", "0.944", "0.944"):  # each as good as the one before, nearly
        Path("accuracy").write_text(value)
        assert pipeline(return_state=True).is_completed()
    assert told == [0.944]


def test_an_address_for_messages_that_is_none_is_told_in_a_line() -> None:
    environment = os.environ | {"DIGITS_WEBHOOK_URL": "hooks.example.com/digits", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.automations"]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: DIGITS_WEBHOOK_URL must begin with https:// or http://\n"
