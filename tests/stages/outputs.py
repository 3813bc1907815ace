"""What the stages of the pipeline make."""

from digits.common.files import sha256
from tests.project import STAGES, Project

OUTPUTS = [
    "data/normalized/test.safetensors",
    "data/normalized/train.safetensors",
    "data/normalized/validation.safetensors",
    "models/calibration.safetensors",
    "models/crossfit.safetensors",
    "models/model.onnx",
    "models/model.safetensors",
    "reports/calibration.json",
    "reports/classes.csv",
    "reports/confusion_matrix.png",
    "reports/metrics.json",
    "reports/mistakes.png",
    "reports/page/ort.wasm.gz",
    "reports/page/report.json",
    "reports/page/test-images.gz",
    "reports/parity.json",
    "reports/predictions.csv",
    "reports/training.csv",
]


def after_training() -> list[str]:
    """The stages that a new model makes run."""
    return [stage for stage in STAGES[STAGES.index("train") + 1 :] if stage != "web_runtime"]


def hashes(project: Project) -> dict[str, str]:
    return {name: sha256(project.folder / name) for name in OUTPUTS}
