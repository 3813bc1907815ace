"""Prove that models/model.onnx computes what PyTorch computes: reports/parity.json."""

import json
from pathlib import Path

import onnx
import torch

from digits import devices, export, model_file
from digits.data import read_raw
from digits.files import replacing
from digits.parameters import Parameters
from digits.parity import Comparison, Reference, check, report
from digits.runtimes.onnx_runtime import OnnxRuntime
from digits.runtimes.pytorch import PyTorch
from stages.command import run

MODEL = Path("models/model.safetensors")
ONNX = Path("models/model.onnx")
PARITY = Path("reports/parity.json")


def main(parameters: Parameters) -> None:
    values = parameters.verify
    devices.make_deterministic(threads=1)
    test = read_raw(Path("data/raw"), "t10k")
    images = test.images[:, None].copy()
    classifier = model_file.load(MODEL).classifier
    reference = Reference(
        PyTorch(classifier, torch.float64), PyTorch(classifier, torch.float32), images, test.labels
    )
    content = ONNX.read_bytes()
    export.check(onnx.load_from_string(content))
    comparisons: list[Comparison] = []
    for provider in values.providers:
        if provider == "cuda" and not torch.cuda.is_available():
            print("cuda: no GPU here, so nothing to compare on it")
            continue
        for optimization in values.optimizations:
            runtime = OnnxRuntime(content, provider, optimization)
            for size in values.batch_sizes:
                comparisons.append(reference.compare(runtime, optimization, size, values.tolerance))
                print(_line(comparisons[-1]))
    proof = report(reference, comparisons, values.tolerance)
    with replacing(PARITY) as temporary:
        temporary.write_text(json.dumps(proof, indent=2) + "\n")
    check(proof)
    print(f"{PARITY}: {len(comparisons)} configurations, {len(images):,} images each, no class flips")


def _line(c: Comparison) -> str:
    return (
        f"{c.provider}, optimizations {c.optimization}, batch {c.batch_size}: largest difference "
        f"{c.largest_difference}, {c.error_ratio} times PyTorch's own; "
        f"{c.class_flips} flips, accuracy {c.accuracy}"
    )


if __name__ == "__main__":
    run(main)
