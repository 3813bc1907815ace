"""Make smaller forms of models/model.onnx and say what they are worth: models/small/. No stage of DVC.

Speed is measured, so the certificate differs from run to run and is not tracked.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.calibration import calibration_file
from digits.common.files import replacing
from digits.common.stage import run
from digits.data import raw
from digits.networks import devices, model_file
from digits.onnx import small_models
from digits.onnx.layers import UnknownNetworkError
from digits.onnx.proven import Proven
from digits.onnx.runtime import Model
from digits.onnx.sections import Shrink

MODEL = Path("models/model.safetensors")
RAW = Path("data/raw")
ONNX = Path("models/model.onnx")
CALIBRATION = Path("models/calibration.safetensors")
SMALL = Path("models/small")


def main(values: Shrink) -> None:
    devices.make_deterministic(threads=1)
    model, about = ONNX.read_bytes(), raw.read_about(RAW)
    trained = model_file.load(MODEL)
    about.require_same(trained.about, RAW, MODEL)
    training, test = (raw.read(RAW, prefix, about) for prefix in (raw.TRAIN, raw.TEST))
    calibration, judged = small_models.set_aside(training, values.calibration_images)
    tested = small_models.Labelled(test.images[:, None].copy(), test.labels)
    classifier = calibration_file.load(CALIBRATION).apply(trained).classifier
    single = _proven(Model(model, classifier), tested.images)
    SMALL.mkdir(exist_ok=True)
    found = []
    for name in values.formats:
        small = small_models.FORMATS[name](model, calibration)
        facts = small_models.compare(name, small, model, judged, tested, single)
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
        if bound := facts["bound"]:
            print(
                f"{name}: {bound['certain_to_agree']:,} of {bound['images_bounded']:,} answers are certain "
                "to be those of float32, in every runtime that computes what the file says; onnxruntime's "
                f"largest error is {bound['part_of_bound']:.1e} of its bound"
            )
    with replacing(SMALL / "certificate.json") as temporary:
        temporary.write_text(json.dumps({"models": found}, indent=2) + "\n")


def _proven(model: Model, images: NDArray[np.uint8]) -> Proven | None:
    try:
        return Proven(model, images)
    except UnknownNetworkError as error:
        print(f"{error}: nothing is proven of the smaller models")
        return None


if __name__ == "__main__":
    run(main, Shrink.read, "torch", "numpy", "safetensors", "onnx", "onnxruntime")
