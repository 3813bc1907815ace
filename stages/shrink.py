"""Make smaller forms of models/model.onnx and say what they are worth: models/small/. No stage of DVC.

Speed is measured, so the certificate differs from run to run and is not tracked.
"""

import json
from pathlib import Path

from digits.common.files import replacing
from digits.common.stage import run
from digits.data.datasets import read_raw
from digits.onnx import small_models
from digits.onnx.sections import Shrink

ONNX = Path("models/model.onnx")
SMALL = Path("models/small")


def main(values: Shrink) -> None:
    model = ONNX.read_bytes()
    training, test = (read_raw(Path("data/raw"), prefix) for prefix in ("train", "t10k"))
    calibration, judged = small_models.set_aside(training, values.calibration_images)
    tested = small_models.Labelled(test.images[:, None].copy(), test.labels)
    SMALL.mkdir(exist_ok=True)
    found = []
    for name in values.formats:
        small = small_models.FORMATS[name](model, calibration)
        facts = small_models.compare(name, small, model, judged, tested)
        reason = small_models.verdict(facts, values)
        found.append(facts | {"offered": not reason, "reason": reason})
        path = SMALL / f"model.{name}.onnx"
        if reason:
            path.unlink(missing_ok=True)
        else:
            with replacing(path) as temporary:
                temporary.write_bytes(small)
        speeds = ", ".join(f"{v:.2f} at batch {k}" for k, v in facts["speed_by_batch_size"].items())
        print(
            f"{name}: {facts['bytes'] / facts['bytes_float32']:.0%} of the size, "
            f"accuracy {facts['accuracy']} ({facts['accuracy_float32']}), {facts['class_flips']} flips, "
            f"speed {speeds} times that of float32; " + (f"not offered: {reason}" if reason else str(path))
        )
    with replacing(SMALL / "certificate.json") as temporary:
        temporary.write_text(json.dumps({"models": found}, indent=2) + "\n")


if __name__ == "__main__":
    run(main, Shrink.read, "onnx", "onnxruntime")
