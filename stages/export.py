"""Export the model to models/model.onnx."""

import hashlib
import json
from pathlib import Path

from digits.calibration import calibration_file
from digits.common.files import replacing, sha256
from digits.common.stage import run
from digits.networks import devices, model_file
from digits.onnx import all_images
from digits.onnx.export import to_onnx
from digits.onnx.sections import Export

MODEL = Path("models/model.safetensors")
CALIBRATION = Path("models/calibration.safetensors")
ONNX = Path("models/model.onnx")


def main(values: Export) -> None:
    devices.make_deterministic(threads=1)
    calibration = calibration_file.load(CALIBRATION)
    model = calibration.apply(model_file.load(MODEL))
    made_from = json.dumps(model.parameters, sort_keys=True)
    metadata = {
        "license": "Apache-2.0",
        "classes": json.dumps(model.about.classes, ensure_ascii=False),
        "mean": repr(model.mean),
        "std": repr(model.std),
        "parameters": made_from,
        "parameters_sha256": hashlib.sha256(made_from.encode()).hexdigest(),
        "data": model.about.text,
        "data_sha256": model.data_sha256,
        "model_sha256": sha256(MODEL),
        "calibration_sha256": sha256(CALIBRATION),
        **{name: repr(value) for name, value in calibration.facts._asdict().items()},
    } | all_images.metadata(model.classifier)
    exported = to_onnx(model.classifier, values.opset, metadata)
    with replacing(ONNX) as temporary:
        temporary.write_bytes(exported.SerializeToString(deterministic=True))
    operators = ", ".join(node.op_type for node in exported.graph.node)
    print(f"{ONNX}: {ONNX.stat().st_size:,} bytes, opset {values.opset}: {operators}")


if __name__ == "__main__":
    run(main, Export.read, "torch", "safetensors", "onnx", "onnx-ir", "onnxscript")
