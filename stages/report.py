"""Build the page of this run, a folder of static files: reports/page/."""

import csv
import json
import os
import shutil
from pathlib import Path

from digits.common.about import About
from digits.common.files import copy_folder, scratch_folder, sha256
from digits.common.stage import run
from digits.data import raw
from digits.data.web_runtime import LIBRARY, VERSION, WASM
from digits.page import content as page
from digits.page.sections import Report

SOURCES = Path("web/page")
RUNTIME = Path("data/web_runtime")
RAW = Path("data/raw")
MODEL = Path("models/model.onnx")
REPORTS = Path("reports")
PAGE = REPORTS / "page"


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def measured() -> About:
    """The images that the evaluate stage has measured the model on."""
    path = REPORTS / "data.json"
    tested = json.loads(path.read_text(encoding="utf-8"))["tested_on"]
    tested.pop("test.safetensors")
    return About.parse(json.dumps(tested), path)


def main(values: Report) -> None:
    metrics = json.loads((REPORTS / "metrics.json").read_text())
    about = raw.read_about(RAW)
    raw.require_source(RAW, about, measured(), REPORTS / "data.json")
    answers = page.Answers(MODEL.read_bytes(), raw.read(RAW, raw.TEST, about))
    predictions = [row["predicted"] for row in read_csv(REPORTS / "predictions.csv")]
    answers.check(predictions, metrics["accuracy"], about.classes)
    report = page.report(
        answers,
        values.mistakes,
        read_csv(REPORTS / "training.csv"),
        {MODEL.name: sha256(MODEL), **dict(sorted(about.sha256.items()))},
        {
            "file": MODEL.name,
            "bytes": MODEL.stat().st_size,
            "runs here in": f"onnxruntime-web {VERSION} (MIT license)",
            "license": f"Apache-2.0; of the test images: {about.license}",
        },
        data=about.model_dump(exclude={"sha256"}),
        metrics=metrics,
        classes=[
            {key: value if key == "class" else float(value) for key, value in row.items()}
            for row in read_csv(REPORTS / "classes.csv")
        ],
        parity=json.loads((REPORTS / "parity.json").read_text()),
    )
    with scratch_folder(PAGE) as scratch:
        built = scratch / PAGE.name
        copy_folder(SOURCES, built)
        (built / "report.json").write_text(report, encoding="utf-8")
        shutil.copyfile(MODEL, built / MODEL.name)
        shutil.copyfile(RUNTIME / LIBRARY.name, built / "ort.js")
        (built / "ort.wasm.gz").write_bytes(page.pack((RUNTIME / WASM.name).read_bytes()))
        (built / "test-images.gz").write_bytes(page.pack(answers.test.images.tobytes()))
        shutil.rmtree(PAGE, ignore_errors=True)
        os.replace(built, PAGE)
    size = sum(path.stat().st_size for path in PAGE.iterdir())
    print(f"{PAGE}: {size / 1e6:.1f} MB of static files; `make web` serves them on this machine")


if __name__ == "__main__":
    run(main, Report.read, "numpy", "onnxruntime")
