"""How far the exported model's answers hold outside the test set: reports/shift.*.

A stage of robustness/dvc.yaml, not of the pipeline, which would take half as long again with it.
"""

import json
from pathlib import Path

from digits.common.files import replacing
from digits.common.stage import run
from digits.data import raw
from digits.evaluation.tables import write_csv
from digits.shift import report
from digits.shift.answers import ExportedModel
from digits.shift.picture import picture
from digits.shift.sections import MEAN, Shift

MODEL = Path("models/model.onnx")
RAW = Path("data/raw")
REPORTS = Path("reports")


def main(values: Shift) -> None:
    model, about = ExportedModel(MODEL), raw.read_about(RAW)
    about.require_same(model.about, RAW, MODEL)
    if not report.of_digits(about):
        print(f"{about.title} has other classes than the ten digits: its own test images alone are measured")
    rows = list(report.measure(model, raw.read(RAW, raw.TEST, about), about, values))
    found = report.summary(rows)
    with replacing(REPORTS / "shift.json") as temporary:
        # Under a name of its own: `dvc exp show` has one column for each name, of whatever file.
        temporary.write_text(json.dumps({"shift": found}, indent=2) + "\n")
    write_csv(REPORTS / "shift.csv", [{"what": row.what, **row.figures} for row in rows])
    with replacing(REPORTS / "shift.png") as temporary:
        picture(rows, temporary)
    print(
        f"accuracy {found[report.TEST]:.2%} on {found['images']:,} test images, {found[MEAN]:.2%} on "
        "average where they are changed"
    )
    for name, accuracy in found["collections"].items():
        print(f"{name}: {accuracy:.2%}")
    report.check(found, values.min_accuracy)


if __name__ == "__main__":
    run(main, Shift.read, "numpy", "pillow", "matplotlib", "onnxruntime")
