from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from digits.training.sections import TrainingValues
from tests.project import ROOT

ReadWith = Callable[..., TrainingValues]

torch.set_num_threads(1)  # test processes share the cores, and threads that wait for others take much time


@pytest.fixture
def read_with() -> ReadWith:
    """Reads what the committed params.yaml says of a training, `read_with({"train.epochs": 1})`."""

    def read_overridden(overrides: dict[str, object] | None = None) -> TrainingValues:
        return TrainingValues.read(ROOT / "params.yaml", overrides)

    return read_overridden


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    """A copy of the committed params.yaml."""
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    return path
