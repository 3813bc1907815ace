"""Prove that models/model.onnx computes what PyTorch computes: reports/parity.json."""

import json
from collections.abc import Sequence
from pathlib import Path

import onnx

from digits import certificate, devices, export, model_file, near_ties
from digits.certificate import Missing
from digits.certificate_table import line, table
from digits.data import read_raw
from digits.files import replacing
from digits.parameters import Parameters
from digits.parity import Comparison, Reference
from digits.runtimes import Model
from digits.runtimes.pytorch_float32 import PyTorchFloat32
from digits.runtimes.pytorch_float64 import PyTorchFloat64
from stages.command import run

MODEL = Path("models/model.safetensors")
ONNX = Path("models/model.onnx")
PARITY = Path("reports/parity.json")


def main(parameters: Parameters) -> None:
    certify(parameters, parameters.verify.runtimes, PARITY)


def certify(parameters: Parameters, runtimes: Sequence[str], path: Path) -> None:
    """Compare these runtimes, write the certificate, and fail unless it holds."""
    values = parameters.verify
    devices.make_deterministic(threads=1)
    test = read_raw(Path("data/raw"), "t10k")
    images = test.images[:, None].copy()
    model = Model(ONNX.read_bytes(), model_file.load(MODEL).classifier)
    export.check(onnx.load_from_string(model.onnx))
    ties = near_ties.search(model.classifier, images, values.near_ties)
    reference = Reference(PyTorchFloat64(model), PyTorchFloat32(model), images, test.labels, ties)
    results: list[Comparison | Missing] = []
    for result in certificate.compare_all(runtimes, model, reference, values):
        results.append(result)
        print(line(result))
    proof = certificate.certificate(reference, results, values.tolerance)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(proof, indent=2) + "\n")
    print(table(proof))
    certificate.check(proof)
    print(
        f"{path}: {len(proof['configurations'])} configurations, {len(images):,} images each, no class flips"
    )


if __name__ == "__main__":
    run(main)
