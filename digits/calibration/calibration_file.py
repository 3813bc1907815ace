"""A calibration as one safetensors file: what was fitted, on what, and what is promised of it."""

import json
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch

from digits.calibration.temperature import calibrated
from digits.common.about import About
from digits.common.errors import DigitsError
from digits.networks.familiarity import PIXELS, Familiarity
from digits.networks.model_file import TrainedModel


class CalibrationFileError(DigitsError):
    """A file is not a calibration of this project."""


class Facts(NamedTuple):
    """What was fitted, as the metadata of the ONNX file has it."""

    temperature: float
    familiarity_threshold: float
    """An image whose familiarity is below is refused."""
    refuse: float
    """The share of familiar images that this may refuse."""
    set_threshold: float
    """A class whose log-probability is at least this is in the set; the most probable one always is."""
    coverage: float
    """The share of sets that have the right class, at least."""
    calibration_images: int


class Calibration(NamedTuple):
    facts: Facts
    familiarity: Familiarity
    about: About
    """What the images are that it was fitted on."""

    def apply(self, model: TrainedModel) -> TrainedModel:
        """The same model with calibrated probabilities, whose classifier knows what is familiar.

        Raises:
            MixedUpError: it has learnt from other images.
        """
        self.about.require_same(model.about, "the calibration", "the model")
        net = calibrated(model.net, self.facts.temperature)
        return model._replace(net=net, familiarity=self.familiarity)


def save(calibration: Calibration, path: Path) -> None:
    """The same calibration gives the same bytes."""
    module = calibration.familiarity
    tensors = {"basis": module.bases.contiguous(), "reserve": module.reserve}
    said = {"facts": calibration.facts._asdict(), "about": calibration.about.model_dump()}
    # One entry only: safetensors does not keep the order of several.
    metadata = {"calibration": json.dumps(said, sort_keys=True)}
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
        facts, about = Facts(**said["facts"]), About.model_validate(said["about"])
        if not all(isinstance(value, float | int) and isfinite(value) for value in facts):
            raise ValueError("not all of its values are numbers")
        if facts.temperature <= 0 or basis.dtype != torch.float32 or not torch.isfinite(basis).all():
            raise ValueError("its temperature or its basis is none")
        if basis.dim() != 3 or (len(basis), basis.shape[2]) != (len(about.classes), PIXELS):
            raise ValueError(f"its basis has the shape {list(basis.shape)}")
        familiarity = Familiarity(basis, float(reserve))
    except (
        *(safetensors.SafetensorError, ArithmeticError, LookupError),
        *(AttributeError, TypeError, ValueError, RuntimeError),
    ) as error:
        cause = " ".join(str(error).split())
        raise CalibrationFileError(f"{path} is no calibration ({cause}); run the calibrate stage") from None
    return Calibration(facts, familiarity.eval(), about)
