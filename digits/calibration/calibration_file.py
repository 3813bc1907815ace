"""A calibration as one safetensors file: what was fitted, on what, and what is promised of it."""

import json
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch

from digits.calibration.temperature import calibrated
from digits.common.errors import DigitsError
from digits.networks.familiarity import DIGITS, PIXELS, Familiarity
from digits.networks.model_file import TrainedModel


class CalibrationFileError(DigitsError):
    """A file is not a calibration of this project."""


class Facts(NamedTuple):
    """What was fitted, as the metadata of the ONNX file has it."""

    temperature: float
    familiarity_threshold: float
    """An image whose familiarity is below is refused."""
    refuse: float
    """The share of real digits that this may refuse."""
    set_threshold: float
    """A digit whose log-probability is at least this is in the set; the most probable one always is."""
    coverage: float
    """The share of sets that have the right digit, at least."""
    calibration_images: int


class Calibration(NamedTuple):
    facts: Facts
    familiarity: Familiarity

    def apply(self, model: TrainedModel) -> TrainedModel:
        """The same model with calibrated probabilities, whose classifier knows what is familiar."""
        net = calibrated(model.net, self.facts.temperature)
        return model._replace(net=net, familiarity=self.familiarity)


def save(calibration: Calibration, path: Path) -> None:
    """The same calibration gives the same bytes."""
    module = calibration.familiarity
    tensors = {"basis": module.basis.contiguous(), "reserve": module.reserve}
    metadata = {"calibration": json.dumps(calibration.facts._asdict(), sort_keys=True)}
    path.write_bytes(safetensors.torch.save(tensors, metadata))


def load(path: Path) -> Calibration:
    """Read a calibration, on the CPU.

    Raises:
        CalibrationFileError: it is no calibration of this project, or not whole.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            said: dict[str, Any] = json.loads(file.metadata()["calibration"])
            basis, reserve = file.get_tensor("basis"), file.get_tensor("reserve")
        facts = Facts(**said)
        if not all(isinstance(value, float | int) and isfinite(value) for value in facts):
            raise ValueError("not all of its values are numbers")
        if facts.temperature <= 0 or basis.dtype != torch.float32 or not torch.isfinite(basis).all():
            raise ValueError("its temperature or its basis is none")
        familiarity = Familiarity(basis.reshape(DIGITS, -1, PIXELS), float(reserve))
    except (
        *(safetensors.SafetensorError, ArithmeticError, LookupError),
        *(AttributeError, TypeError, ValueError, RuntimeError),
    ) as error:
        cause = " ".join(str(error).split())
        raise CalibrationFileError(f"{path} is no calibration ({cause}); run the calibrate stage") from None
    return Calibration(facts, familiarity.eval())
