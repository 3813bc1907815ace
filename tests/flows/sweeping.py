"""Plans of sweeps, for tests."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

# Far from each other and from params.yaml, so that which is better does not depend on the machine.
SOUND = {"name": "sgd", "over": {"solvers.sgd.lr": [1e-5, 0.003]}}


def plan(folder: Path, name: str, *configurations: dict[str, Any], **changes: Any) -> None:
    fixed = {"normalize.validation_size": 1000, "train.epochs": 2, "models.mlp.hidden_sizes": [16]}
    fixed |= {"train.solver": "sgd"}  # whatever another test has written back
    content = {"about": "for a test", "fixed": fixed, "configurations": [*configurations], "seeds": [1, 2]}
    YAML().dump({**content, **changes}, folder / f"sweeps/{name}.yaml")
