"""A small project whose runs end with a release."""

import json
from pathlib import Path
from typing import Any

from digits.common.about import About
from flows import release
from flows.workspace import model_of
from prefect_dvc.workspace import Workspace

REPORTS = ("confusion_matrix.png", "mistakes.png", "parity.json", "data.json")
DVC_YAML = {
    "stages": {
        "evaluate": {
            "cmd": "sh evaluate",
            "deps": ["accuracy", "model"],
            "params": ["train"],
            "outs": [f"reports/{name}" for name in REPORTS],
            "metrics": [{"reports/metrics.json": {"cache": False}}],
        },
        "export": {
            "cmd": "mkdir -p models; cp model models/model.onnx",
            "deps": ["model"],
            "outs": ["models/model.onnx"],
        },
    },
    "artifacts": {"digits": {"path": "models/model.onnx", "type": "model", "desc": "Tells digits apart."}},
}
EVALUATE = """
accuracy=$(cat accuracy)
test $accuracy != bad || { echo 'error: the loss is not finite' >&2; exit 1; }
mkdir -p reports
cp model reports/mistakes.png
cp model reports/confusion_matrix.png
echo '{"images": 10, "accuracy": '$accuracy', "loss": 0.17, "mistakes": 5}' > reports/metrics.json
cp data reports/data.json
sed s/ACCURACY/$accuracy/ parity > reports/parity.json
"""
PARITY = """{"passed": true, "class_flips": 0, "accuracy_runtime": ACCURACY, "torch_float32_error": 9e-06,
"largest_difference": 7e-06, "configurations": [
{"runtime": "onnxruntime", "version": "1.31.1", "provider": "CPUExecutionProvider"}]}"""

ABOUT = About.unnamed().model_dump() | {"set": "mnist", "title": "MNIST", "images": {"train": 7, "t10k": 10}}
ABOUT["sha256"] = {"t10k-images-idx3-ubyte": "ab" * 32}
DATA = {
    "trained_on": ABOUT | {"train.safetensors": "cd" * 32},
    "tested_on": ABOUT | {"test.safetensors": "ef" * 32},
    "test_images": 10,
}


def write(root: Path, accuracy: str = "0.95") -> None:
    """Let the model of the project in `root` have this accuracy; `bad` fails its evaluation."""
    (root / "dvc.yaml").write_text(json.dumps(DVC_YAML))
    (root / "evaluate").write_text(EVALUATE)
    (root / "parity").write_text(PARITY)
    (root / "data").write_text(json.dumps(DATA))
    (root / "model").write_text("a model")
    (root / "accuracy").write_text(accuracy)


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
