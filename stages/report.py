"""Build the page of this run, a folder of static files: reports/page/."""

import csv
import json
import os
import shutil
from pathlib import Path

from digits.common.files import copy_folder, scratch_folder, sha256
from digits.common.stage import run
from digits.data.datasets import read_raw
from digits.data.mnist import RAW_FILES
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


def main(values: Report) -> None:
    metrics = json.loads((REPORTS / "metrics.json").read_text())
    answers = page.Answers(MODEL.read_bytes(), read_raw(RAW, "t10k"))
    predictions = [int(row["predicted"]) for row in read_csv(REPORTS / "predictions.csv")]
    answers.check(predictions, metrics["accuracy"])
    report = page.report(
        answers,
        values.mistakes,
        read_csv(REPORTS / "training.csv"),
        {path.name: sha256(path) for path in (MODEL, *sorted(RAW / file.name for file in RAW_FILES))},
        {
            "file": MODEL.name,
            "bytes": MODEL.stat().st_size,
            "runs here in": f"onnxruntime-web {VERSION} (MIT license)",
            "license": "Apache-2.0; of the test images, CC BY-SA 3.0",
        },
        metrics=metrics,
        classes=[
            {key: float(value) for key, value in row.items()} for row in read_csv(REPORTS / "classes.csv")
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
