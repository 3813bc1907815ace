"""The stage as it is, on a small set and a small ONNX file; and the report that is committed."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest
from numpy.typing import NDArray

from digits.common.about import About, MixedUpError
from digits.common.files import sha256
from digits.data import raw
from digits.shift.changes import CHANGES
from digits.shift.report import ShiftError
from digits.shift.sections import COLLECTIONS, Shift
from stages import shift
from tests.project import ROOT
from tests.small import write_idx

VALUES = Shift(images=20, seed=3, min_accuracy={})
REPORTS = [f"reports/shift.{kind}" for kind in ("json", "csv", "png")]


def write_model(path: Path, about: About) -> None:
    """Nearest to the mean image of each class, and the brightest pixel as familiarity."""
    images, labels = (raw.read(path.parents[1] / "data/raw", raw.TEST, about)[k] for k in (0, 1))
    means = np.stack([images[labels == digit].mean(axis=0).ravel() for digit in range(10)]) / 255
    weights: dict[str, NDArray[Any]] = {
        "matrix": means.T.astype(np.float32) / 5,
        "bias": -(means**2).sum(axis=1).astype(np.float32) / 10,
        "scale": np.array(1 / 255, np.float32),
        "flat": np.array([-1, 784], np.int64),
        "axis": np.array([1], np.int64),
    }
    node = onnx.helper.make_node
    nodes = [
        node("Cast", ["image"], ["float"], to=onnx.TensorProto.FLOAT),
        node("Mul", ["float", "scale"], ["scaled"]),
        node("Reshape", ["scaled", "flat"], ["rows"]),
        node("MatMul", ["rows", "matrix"], ["products"]),
        node("Add", ["products", "bias"], ["logits"]),
        node("LogSoftmax", ["logits"], ["log_probabilities"]),
        node("ReduceMax", ["rows", "axis"], ["familiarity"], keepdims=0),
    ]
    value, float32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "nearest",
        [value("image", onnx.TensorProto.UINT8, ["batch", 1, 28, 28])],
        [value("log_probabilities", float32, ["batch", 10]), value("familiarity", float32, ["batch"])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.helper.set_model_props(model, {"familiarity_threshold": "0.9", "data": about.text})
    path.parent.mkdir()
    onnx.save(model, path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 60 raw images, upright bars at a place for each digit, and a model that knows them."""
    folder = tmp_path_factory.mktemp("shift")
    (folder / "data/raw").mkdir(parents=True)
    labels = np.arange(60, dtype=np.uint8) % 10
    images = np.zeros((60, 28, 28), np.uint8)
    for number, label in enumerate(labels):
        images[number, 4:24, 3 + 2 * label : 6 + 2 * label] = 255
    for prefix in (raw.TRAIN, raw.TEST):
        write_idx(folder / f"data/raw/{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"data/raw/{prefix}-labels-idx1-ubyte", labels)
    about = About.unnamed().model_copy(
        update={"set": "mnist", "sha256": {name: sha256(folder / "data/raw" / name) for name in raw.FILES}}
    )
    raw.write_about(folder / "data/raw", about)
    write_model(folder / "models/model.onnx", about)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same for a test to change; the test is in it."""
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_the_stage_measures_what_the_onnx_file_answers(folder: Path) -> None:
    shift.main(VALUES)
    found = json.loads(Path("reports/shift.json").read_text())["shift"]
    assert (found["images"], found["test_images"]) == (20, 1.0)
    assert 0.1 < found["mean"] < 1
    assert found["changes"]["brightness"] == 1, "the same for all classes"
    assert set(found["collections"]) == set(COLLECTIONS)
    rows = list(csv.DictReader(Path("reports/shift.csv").read_text().splitlines()))
    assert len(rows) == 1 + 3 * len(CHANGES) + len(COLLECTIONS) + 1
    assert [row["accuracy"] for row in rows if row["what"] == "letters"] == [""]
    fog = {row["severity"]: float(row["refused"]) for row in rows if row["name"] == "fog"}
    assert fog["3"] > fog["1"]
    first = [Path(path).read_bytes() for path in REPORTS]
    shift.main(VALUES)
    assert [Path(path).read_bytes() for path in REPORTS] == first


def test_a_gate_fails_once_the_report_is_written(folder: Path) -> None:
    with pytest.raises(ShiftError, match=r"asks for 100\.00% of translate, which is"):
        shift.main(VALUES.model_copy(update={"min_accuracy": {"translate": 1.0, "brightness": 1.0}}))
    assert all(Path(path).exists() for path in REPORTS)


def test_images_of_another_set_than_the_models_are_refused(folder: Path) -> None:
    about = raw.read_about(Path("data/raw"))
    raw.write_about(Path("data/raw"), about.model_copy(update={"set": "emnist_digits"}))
    with pytest.raises(MixedUpError, match="emnist_digits"):
        shift.main(VALUES)
    assert not Path("reports").exists()


def test_other_classes_than_digits_are_told_in_a_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clothes = raw.read_about(Path("data/raw")).model_copy(
        update={"title": "Clothes", "classes": [f"cloth {k}" for k in range(10)]}
    )
    raw.write_about(Path("data/raw"), clothes)
    shutil.rmtree("models")
    write_model(folder / "models/model.onnx", clothes)
    shift.main(VALUES)
    assert capsys.readouterr().out.splitlines()[0] == (
        "Clothes has other classes than the ten digits: its own test images alone are measured"
    )
    found = json.loads(Path("reports/shift.json").read_text())["shift"]
    assert found["collections"] == {}
    assert "letters" not in found
    assert Path("reports/shift.png").exists()


def test_the_committed_report_is_of_the_tutorials_network() -> None:
    found = json.loads((ROOT / "reports/shift.json").read_text())["shift"]
    assert found["images"] == 1000
    assert 0.93 < found["test_images"] < 0.96
    assert 0.7 < found["mean"] < 0.76
    said = (ROOT / "docs/shift.md").read_text()
    for name, accuracy in {**found["changes"], **found["collections"]}.items():
        assert f"`{name}`" in said
        assert f"{100 * accuracy:.1f} %" in said, name
