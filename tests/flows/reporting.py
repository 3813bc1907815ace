"""A project of small stages that write reports of which a run shows something."""

import json
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n not much of a picture"
METRICS = {"accuracy": 0.9465, "loss": 0.172}
PARITY = {
    "passed": True,
    "class_flips": 0,
    "largest_difference": 1.5e-6,
    "configurations": [{"provider": "cpu", "batch_size": 64, "class_flips": 0}],
}
STAGES: dict[str, object] = {
    "train": {"cmd": "echo epoch 1; cp params.yaml model", "params": ["train.epochs"], "outs": ["model"]},
    "evaluate": {
        "cmd": "mkdir -p reports; cp kept/metrics.json kept/mistakes.png reports",
        "deps": ["model"],
        "outs": ["reports/metrics.json", "reports/mistakes.png"],
    },
    "verify": {
        "cmd": "mkdir -p reports; cp kept/parity.json reports",
        "deps": ["model"],
        "outs": ["reports/parity.json"],
    },
}


def write(folder: Path) -> None:
    """What the stages copy."""
    kept = folder / "kept"
    kept.mkdir()
    (kept / "metrics.json").write_text(json.dumps(METRICS))
    (kept / "mistakes.png").write_bytes(PNG)
    (kept / "parity.json").write_text(json.dumps(PARITY))
