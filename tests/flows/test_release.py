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

from digits.common.about import About
from flows import events, release, signing
from flows.pipeline import pipeline
from flows.workspace import model_of
from prefect_dvc.project import ProjectError
from prefect_dvc.workspace import Workspace
from tests.disk import full_after
from tests.flows import releasing
from tests.project import ROOT, MakeWorkspace

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


@pytest.fixture
def workspace(make_workspace: MakeWorkspace) -> Workspace:
    """A workspace in which everything has run and nothing is released."""
    made = make_workspace({})
    releasing.write(made.folder)
    run_stages(made)
    return made


def run_stages(workspace: Workspace) -> None:
    result = workspace.dvc(["repro"], print)
    assert not result.last_lines, result.last_lines


def publish(workspace: Workspace) -> release.Release:
    model = model_of(workspace.project)
    assert model
    return release.publish(workspace.folder, model, print)


def released() -> list[str]:
    return [path.name for path in Path("models/releases").glob("[!.]*")]


def accuracy(folder: Path) -> Any:
    return json.loads((folder / "metrics.json").read_text())["accuracy"]


def test_a_release_is_whole_and_says_what_it_is(workspace: Workspace) -> None:
    found = publish(workspace)
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


def test_the_card_has_what_was_measured_outside_of_this_very_model(workspace: Workspace) -> None:
    digests = [hashlib.md5(Path("models/model.onnx").read_bytes()).hexdigest()]
    figures = {
        "images": 7,
        "test_images": 0.943,
        "mean": 0.733,
        "collections": {"other_writers": 0.7184},
        "letters": {"sure": 0.3218},
    }
    Path("robustness").mkdir()
    Path("reports/shift.json").write_text(json.dumps({"shift": figures}))
    digests.append(hashlib.md5(Path("reports/shift.json").read_bytes()).hexdigest())

    def released_card(model: str, report: str) -> str:
        stage = {
            "deps": [{"path": "models/model.onnx", "md5": model}],
            "outs": [{"path": "reports/shift.json", "md5": report}],
        }
        Path("robustness/dvc.lock").write_text(json.dumps({"stages": {"shift": stage}}))
        publish(workspace)
        return Path("models/release/README.md").read_text()

    card = released_card(*digests)
    for line in (
        "## Outside the test set (7 test images)",
        "| test images, for comparison | 94.3% |",
        "| the same, changed in fifteen ways | 73.3% |",
        "| other writers | 71.8% |",
        "| letters, which are no digits: share of answers above 90 % | 32.2% |",
    ):
        assert f"{line}\n" in card
    assert "\n\n## Use\n" in card
    for stale in (("0" * 32, digests[1]), (digests[0], "0" * 32)):
        assert "Outside the test set" not in released_card(*stale)


def test_the_card_does_not_name_a_set_of_images_that_name_none(workspace: Workspace) -> None:
    data = releasing.DATA | {"trained_on": About.unnamed().model_dump() | {"train.safetensors": "cd" * 32}}
    Path("data").write_text(json.dumps(data))
    Path("accuracy").write_text("0.96")  # which the stage depends on
    run_stages(workspace)
    publish(workspace)
    card = Path("models/release/README.md").read_text()
    assert "Trained on images that name no set, measured on MNIST; 10 classes" in card
    assert "60,000" not in card
    head = YAML(typ="safe").load(card.split("---\n")[1])
    assert "datasets" not in head, "the Hub has a name for sets that it knows alone"
    assert head["model-index"][0]["results"][0]["dataset"]["type"] == "ylecun/mnist"
    assert f"| `train.safetensors` | `{'cd' * 32}` |" in card


def test_the_same_outputs_are_the_same_release(workspace: Workspace) -> None:
    first = publish(workspace)
    second = publish(workspace)
    assert (second.name, second.is_new) == (first.name, False)
    assert released() == [first.name]


def test_what_is_published_is_known_to_be(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(workspace.project)
    assert model
    assert not release.is_published(workspace.folder, model)
    publish(workspace)
    assert release.is_published(workspace.folder, model)
    assert not list(Path("models/releases").glob(".*.part")), "looking leaves nothing behind"
    monkeypatch.setenv(signing.KEY, "signing.key")
    assert not release.is_published(workspace.folder, model), "there is a key, and it is not signed"
    monkeypatch.delenv(signing.KEY)
    releasing.write(workspace.folder, accuracy="0.96")
    run_stages(workspace)
    assert not release.is_published(workspace.folder, model)


def test_a_reader_sees_one_release_while_others_are_published(workspace: Workspace) -> None:
    publish(workspace)
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
        run_stages(workspace)
        publish(workspace)
    reading.set()
    reader.join()
    assert {code for code, _ in seen} == {0}
    assert accuracy(Path("models/release")) == 0.97


def test_old_releases_go_after_a_while_and_one_that_comes_again_stays(workspace: Workspace) -> None:
    names = []
    for value in ("0.91", "0.92", "0.93", "0.94", "0.93"):
        Path("accuracy").write_text(value)
        run_stages(workspace)
        names.append(publish(workspace).name)
    assert set(released()) == set(names[1:])
    assert len(set(names[1:])) == release.KEPT
    assert accuracy(Path("models/release")) == 0.93


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("models/model.onnx", "another model", "is not the file that dvc.lock names"),
        ("reports/parity.json", None, "No such file"),
    ],
)
def test_what_was_not_proved_is_not_published(
    workspace: Workspace, path: str, content: str | None, message: str
) -> None:
    first = publish(workspace)
    Path(path).unlink()
    if content:
        Path(path).write_text(content)
    with pytest.raises(ProjectError, match=message):
        publish(workspace)
    assert released() == [first.name]


def test_a_proof_that_failed_is_not_published(workspace: Workspace) -> None:
    Path("parity").write_text(releasing.PARITY.replace("true", "false"))
    Path("accuracy").write_text("0.96")
    run_stages(workspace)
    with pytest.raises(ProjectError, match="does not prove this model"):
        publish(workspace)
    assert not Path("models/release").exists()


def test_what_a_killed_process_left_is_removed(workspace: Workspace) -> None:
    Path("models/releases/.1.part").mkdir(parents=True)
    Path("models/releases/.abc.part").symlink_to("nowhere")
    found = publish(workspace)
    assert released() == [found.name]


@pytest.mark.usefixtures("prefect_server")
def test_only_a_run_of_all_stages_that_passed_is_published(workspace: Workspace) -> None:
    state: Any = pipeline(stages=["export"], return_state=True)
    assert state.is_completed()
    assert not Path("models/release").exists()
    Path("accuracy").write_text("bad")
    assert pipeline(return_state=True).is_failed()
    assert not Path("models/release").exists()
    Path("accuracy").write_text("0.95")
    assert pipeline(return_state=True).is_completed()
    assert accuracy(Path("models/release")) == 0.95


def test_a_release_is_compared_with_the_best_one_before(workspace: Workspace) -> None:
    """0.4 points less every night are noticed, also when the best release is long gone."""
    found = []
    for value in ("0.96", "0.956", "0.952", "0.948", "0.944"):
        Path("accuracy").write_text(value)
        run_stages(workspace)
        found.append(publish(workspace))
    assert found[0].best_before is None
    assert [f.best_before for f in found[1:]] == [release.Published(found[0].name, 0.96)] * 4
    assert found[0].name not in released()


def test_without_a_note_of_the_best_the_last_release_counts(workspace: Workspace) -> None:
    first = publish(workspace)
    (workspace.folder / release.BEST).unlink()
    Path("accuracy").write_text("0.9")
    run_stages(workspace)
    assert publish(workspace).best_before == release.Published(first.name, 0.95)


def test_a_folder_in_place_of_the_link_is_told_in_a_line(workspace: Workspace) -> None:
    Path("models/release").mkdir()
    with pytest.raises(ProjectError, match="models/release is not the link that a release makes"):
        publish(workspace)
    assert list(Path("models/release").iterdir()) == []


def test_a_full_disk_is_told_in_a_line_and_the_release_before_stays(workspace: Workspace) -> None:
    first = publish(workspace)
    Path("accuracy").write_text("0.96")
    run_stages(workspace)
    model = model_of(workspace.project)
    assert model
    with pytest.raises(ProjectError, match="File too large; nothing is published"), full_after(64):
        release.publish(workspace.folder, model, print)
    assert released() == [first.name]
    assert accuracy(Path("models/release")) == 0.95


@pytest.mark.parametrize("key", ["loss", "class_flips", "trained_on"])
def test_a_report_that_lacks_a_figure_is_one_line(workspace: Workspace, key: str) -> None:
    for path in ("evaluate", "parity", "data"):
        Path(path).write_text(Path(path).read_text().replace(f'"{key}"', '"another"'))
    Path("accuracy").write_text("0.96")
    run_stages(workspace)
    with pytest.raises(ProjectError, match=f"a release states '{key}', which is neither in .*; nothing is"):
        publish(workspace)


def test_where_the_note_of_the_best_cannot_be_written_nothing_is_published(workspace: Workspace) -> None:
    first = publish(workspace)
    (workspace.folder / release.BEST).unlink()
    (workspace.folder / release.BEST).mkdir()
    Path("accuracy").write_text("0.96")
    run_stages(workspace)
    with pytest.raises(ProjectError, match="nothing is published"):
        publish(workspace)
    assert accuracy(Path("models/release")) == 0.95, "what is said is so"
    (workspace.folder / release.BEST).rmdir()
    second = publish(workspace)
    assert second.is_new
    assert second.best_before == release.Published(first.name, 0.95)
    assert accuracy(Path("models/release")) == 0.96


def test_the_card_and_the_parameters_are_of_the_stages_that_made_something(workspace: Workspace) -> None:
    """The first stage depends on every value, used or not."""
    checked = {"params.yaml": {"web_runtime": 1}, "versions.yaml": {"openvino": "1"}}
    trained = {"params.yaml": {"train.epochs": 5}, "versions.yaml": {"torch": "2.14.1"}}
    lock = {name: {"cmd": "true", "params": p} for name, p in (("parameters", checked), ("train", trained))}
    text = Path("dvc.lock").read_text()
    stages = YAML(typ="safe").load(text)
    stages["stages"] |= lock
    with Path("dvc.lock").open("w") as file:
        YAML().dump(stages, file)
    publish(workspace)
    card = Path("models/release/README.md").read_text()
    assert "Made with torch 2.14.1.\n" in card
    assert "web_runtime" not in card
    assert "parameters" not in json.loads(Path("models/release/parameters.json").read_text())


def test_git_that_does_not_answer_costs_a_message_its_commit_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*command: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired("git", 10)

    monkeypatch.delenv("DIGITS_COMMIT", raising=False)
    monkeypatch.setattr(subprocess, "run", silent)
    assert events._commit() is None


def test_what_cannot_be_removed_does_not_hold_up_a_release(workspace: Workspace) -> None:
    publish(workspace)
    for name in ("somebody's note", ".half.part"):
        Path("models/releases", name).touch()
        os.utime(Path("models/releases", name), (0, 0))
    for value in ("0.96", "0.97", "0.98"):
        Path("accuracy").write_text(value)
        run_stages(workspace)
        publish(workspace)
    assert accuracy(Path("models/release")) == 0.98
    assert not Path("models/releases/.half.part").exists()
    assert release._best(workspace.folder) == (os.path.basename(os.readlink("models/release")), 0.98)


@pytest.mark.usefixtures("prefect_server")
def test_one_release_that_is_less_accurate_is_told_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
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
