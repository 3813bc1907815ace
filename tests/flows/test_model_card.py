"""What a release's card says of its model, and what it leaves out."""

import hashlib
import json
from pathlib import Path

from ruamel.yaml import YAML

from digits.common.about import About
from prefect_dvc.workspace import Workspace
from tests.flows import releasing
from tests.flows.releasing import publish, run_stages


def test_the_card_has_what_was_measured_outside_of_this_very_model(releasable: Workspace) -> None:
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
        publish(releasable)
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
    Path("robustness/dvc.lock").write_text("stages: {")
    publish(releasable)
    assert "Outside the test set" not in Path("models/release/README.md").read_text()


def test_the_card_does_not_name_a_set_of_images_that_name_none(releasable: Workspace) -> None:
    data = releasing.DATA | {"trained_on": About.unnamed().model_dump() | {"train.safetensors": "cd" * 32}}
    Path("data").write_text(json.dumps(data))
    Path("accuracy").write_text("0.96")  # which the stage depends on
    run_stages(releasable)
    publish(releasable)
    card = Path("models/release/README.md").read_text()
    assert "Trained on images that name no set, measured on MNIST; 10 classes" in card
    assert "60,000" not in card
    head = YAML(typ="safe").load(card.split("---\n")[1])
    assert "datasets" not in head, "the Hub has a name for sets that it knows alone"
    assert head["model-index"][0]["results"][0]["dataset"]["type"] == "ylecun/mnist"
    assert f"| `train.safetensors` | `{'cd' * 32}` |" in card


def test_the_names_of_classes_are_words_whatever_is_in_them(releasable: Workspace) -> None:
    names = ["<img src=x onerror=alert(1)>|d", "a, b\nc", "*two*"]
    about = About.unnamed().model_dump() | {"classes": names}
    Path("data").write_text(json.dumps({"trained_on": about, "tested_on": about}))
    Path("accuracy").write_text("0.96")
    run_stages(releasable)
    publish(releasable)
    card = Path("models/release/README.md").read_text()
    assert r'3 classes: \<img src=x onerror=alert(1)\>\|d, "a, b c", \*two\*.' in card


def test_the_card_and_the_parameters_are_of_the_stages_that_made_something(releasable: Workspace) -> None:
    """The first stage depends on every value, used or not."""
    checked = {"params.yaml": {"web_runtime": 1}, "versions.yaml": {"openvino": "1"}}
    trained = {"params.yaml": {"train.epochs": 5}, "versions.yaml": {"torch": "2.14.1"}}
    lock = {name: {"cmd": "true", "params": p} for name, p in (("parameters", checked), ("train", trained))}
    text = Path("dvc.lock").read_text()
    stages = YAML(typ="safe").load(text)
    stages["stages"] |= lock
    with Path("dvc.lock").open("w") as file:
        YAML().dump(stages, file)
    publish(releasable)
    card = Path("models/release/README.md").read_text()
    assert "Made with torch 2.14.1.\n" in card
    assert "web_runtime" not in card
    assert "parameters" not in json.loads(Path("models/release/parameters.json").read_text())
