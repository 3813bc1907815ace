"""The few lines at the end of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.artifacts import METRICS, MISTAKES, PARITY, read_json
from prefect_dvc.transcript import StageResult

FILES = {
    "model": Path("models/model.safetensors"),
    "ONNX model": Path("models/model.onnx"),
    "metrics": METRICS,
    "confusion": Path("reports/confusion_matrix.png"),
    "mistakes": MISTAKES,
    "training": Path("reports/training.csv"),
    "parity": PARITY,
    "page": Path("reports/page/index.html"),
}


def summary(results: Sequence[StageResult], root: Path) -> str:
    """Accuracy, loss, parity, where the files are, and how each stage ended and how long it took."""
    # Numbers of stages that were not asked for may be those of another model.
    stages_done = {result.stage for result in results}
    metrics = read_json(root / METRICS) if "evaluate" in stages_done else {}
    parity = read_json(root / PARITY) if "verify" in stages_done else {}
    found = [("accuracy", _percent(metrics.get("accuracy"))), ("loss", _number(metrics.get("loss")))]
    found.append(("parity", _parity(parity)))
    files = [(name, str(path)) for name, path in FILES.items() if (root / path).is_file()]
    stages = [(result.stage, f"{result.seconds:6.1f} s  {result.outcome}") for result in results]
    stages.append(("all stages", f"{sum(result.seconds for result in results):6.1f} s"))
    parts = [[(name, value) for name, value in found if value], files, stages]
    width = max(len(name) for part in parts for name, _ in part)
    blocks = ["\n".join(f"{name:<{width}}  {value}" for name, value in part) for part in parts if part]
    return "\n\n".join(blocks)


def _percent(value: object) -> str:
    return f"{value:.2%}" if isinstance(value, float | int) else ""


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float | int) else ""


def _parity(parity: dict[str, Any]) -> str:
    if "passed" not in parity:
        return ""
    details = [f"{len(parity['configurations'])} configurations"] if "configurations" in parity else []
    if "class_flips" in parity:
        details.append(f"{parity['class_flips']} class flips")
    if isinstance(parity.get("largest_difference"), float | int):
        details.append(f"largest difference {parity['largest_difference']:.1e}")
    return "; ".join(["passed" if parity["passed"] else "FAILED", *details])
