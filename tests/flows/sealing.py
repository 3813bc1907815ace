"""A release without a run: a folder with the files and the dvc.lock of one, published."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from digits.common.files import sha256
from flows import release
from flows.workspace import ModelArtifact

MODEL = ModelArtifact("digits", Path("models/model.onnx"), "Tells digits apart.")
METRICS = {"images": 10, "accuracy": 0.95, "loss": 0.17, "mistakes": 5}
PARITY = {
    "passed": True,
    "class_flips": 0,
    "accuracy_runtime": 0.95,
    "torch_float32_error": 9e-06,
    "largest_difference": 7e-06,
    "configurations": [{"runtime": "onnxruntime", "version": "1.31.1", "provider": "CPUExecutionProvider"}],
}
IMAGES = b"images"
ABOUT = {
    **{"set": "fashion_mnist", "title": "Fashion-MNIST", "thing": "a piece of clothing", "license": "MIT"},
    **{"classes": ["shirt", "coat", "bag"], "prepared": False, "images": {"train": 7, "t10k": 10}},
    "sha256": {"images": hashlib.sha256(IMAGES).hexdigest()},
}
FILES = {
    "data/raw/images": IMAGES,
    "data/web/runtime.js": b"runtime",
    "digits/train.py": b"train()\n",
    "models/model.onnx": bytes(i * i % 251 for i in range(20_000)),
    "models/model.safetensors": b"weights",
    "reports/confusion_matrix.png": b"picture",
    "reports/data.json": json.dumps({"trained_on": ABOUT, "tested_on": ABOUT, "test_images": 10}).encode(),
    "reports/metrics.json": json.dumps(METRICS).encode(),
    "reports/mistakes.png": b"picture",
    "reports/parity.json": json.dumps(PARITY).encode(),
}
TRAINED = {"params.yaml": {"train": {"model": "mlp"}}, "versions.yaml": {"torch": "2.14.1"}}


def publish(root: Path) -> Path:
    """Write a workspace into `root` and publish it; the release's folder."""
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    reports = [name for name in FILES if name.startswith("reports/")]
    stages = {
        "parameters": _stage([], [], {"params.yaml": {"unused": 1}, "versions.yaml": {"openvino": "1"}}),
        "download": _stage([], ["data/raw/images"]),
        "train": _stage(["data/raw/images", "digits/train.py"], ["models/model.safetensors"], TRAINED),
        "export": _stage(["models/model.safetensors"], ["models/model.onnx"]),
        "evaluate": _stage(["models/model.safetensors"], reports),
        "page": _stage(["models/model.onnx"], ["data/web/runtime.js"]),
    }
    stages["train"]["deps"] += [{"path": "digits/common", "md5": "0123456789abcdef0123456789abcdef.dir"}]
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))  # JSON is YAML
    release.publish(root, MODEL, print)
    return (root / "models/release").resolve()


def seal(folder: Path, *, statement: bool) -> None:
    """Give changed files their new hashes, as a forger does, in the statement as well or not."""
    path = folder / "provenance.json"
    content = json.loads(path.read_text())
    for subject in content["subject"] if statement else []:
        subject["digest"]["sha256"] = sha256(folder / subject["name"])
    path.write_text(json.dumps(content))
    names = sorted({file.name for file in folder.iterdir()} - {"SHA256SUMS"})
    (folder / "SHA256SUMS").write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names))


def _stage(deps: list[str], outs: list[str], params: dict[str, Any] | None = None) -> dict[str, Any]:
    entries = {"deps": deps, "outs": outs}
    described = {key: [{"path": name, "md5": _md5(name)} for name in names] for key, names in entries.items()}
    return {"cmd": "true", **described, "params": params or {}}


def _md5(name: str) -> str:
    return hashlib.md5(FILES[name], usedforsecurity=False).hexdigest()


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert text.count(old) == 1, text
        (folder / name).write_text(text.replace(old, new))

    return change
