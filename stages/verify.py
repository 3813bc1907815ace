"""Prove that models/model.onnx computes what PyTorch computes: reports/parity.json."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.calibration import calibration_file
from digits.common import versions
from digits.common.files import replacing
from digits.common.stage import run
from digits.data import raw
from digits.networks import devices, images, model_file
from digits.onnx import certificate, export, near_ties
from digits.onnx.certificate import Missing
from digits.onnx.certificate_table import line, table
from digits.onnx.layers import UnknownNetworkError
from digits.onnx.parity import Comparison, Reference
from digits.onnx.proven import Proven
from digits.onnx.runtime import ORACLE, YARDSTICK, Model, find
from digits.onnx.sections import Verify

MODEL = Path("models/model.safetensors")
CALIBRATION = Path("models/calibration.safetensors")
RAW = Path("data/raw")
TEST = Path("data/normalized/test.safetensors")
ONNX = Path("models/model.onnx")
PARITY = Path("reports/parity.json")
PACKAGES = ("torch", "numpy", "safetensors", "onnx", "onnxruntime")


OF_RUNTIMES = {"openvino": "openvino", "opencv": "opencv-python-headless"}
"""Packages that are not here in every case; `certify` tells where one is missing."""


def main(values: Verify) -> None:
    certify(values, values.runtimes, PARITY)


def certify(values: Verify, runtimes: Sequence[str], path: Path) -> None:
    """Compare these runtimes, write the certificate, and fail unless it holds."""
    chosen = [package for name, package in OF_RUNTIMES.items() if name in runtimes]
    versions.require([package for package in chosen if versions.installed(package)])
    devices.make_deterministic(threads=1)
    trained, about = model_file.load(MODEL), raw.read_about(RAW)
    about.require_same(trained.about, RAW, MODEL)
    raw.require_source(RAW, about, images.about(TEST), TEST)
    test, calibration = raw.read(RAW, raw.TEST, about), calibration_file.load(CALIBRATION)
    pictures = test.images[:, None].copy()
    model = Model(ONNX.read_bytes(), calibration.apply(trained).classifier)
    export.check(export.read(model.onnx))
    ties = near_ties.search(model.classifier, pictures, values.near_ties)
    oracle, yardstick = find(ORACLE)(model, "default"), find(YARDSTICK)(model, "default")
    proven = bounds(model, pictures) if values.proven else None
    threshold = calibration.facts.familiarity_threshold
    reference = Reference(oracle, yardstick, pictures, test.labels, ties, proven, threshold)
    results: list[Comparison | Missing] = []
    for result in certificate.compare_all(runtimes, model, reference, values):
        results.append(result)
        print(line(result))
    proof = certificate.certificate(reference, results, values.tolerance, values.proven)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(proof, indent=2) + "\n")
    print(table(proof))
    certificate.check(proof)
    print(
        f"{path}: {len(proof['configurations'])} configurations, {len(pictures):,} images each, "
        "no class flips"
    )


def bounds(model: Model, images: NDArray[np.uint8]) -> Proven:
    try:
        return Proven(model, images)
    except UnknownNetworkError as error:
        raise UnknownNetworkError(f"{error}; with verify.proven: 0, none is asked for") from None


if __name__ == "__main__":
    run(main, Verify.read, *PACKAGES)
