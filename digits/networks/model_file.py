"""A trained network as one safetensors file that says how to rebuild it. Nothing is unpickled."""

import json
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import nn

from digits.common.about import About
from digits.common.choices import choice, names
from digits.common.errors import DigitsError
from digits.networks.classifier import Classifier
from digits.networks.model import Model

ILL_FORMED = (AttributeError, TypeError, ValueError, RuntimeError)
"""What is raised where a value is not what it should be."""


class ModelFileError(DigitsError):
    """A file is not a model of this project."""


class TrainedModel(NamedTuple):
    """A network with what it was made from."""

    net: nn.Module
    mean: float
    std: float
    parameters: dict[str, Any]
    """Every value that had a part in its making, by section of params.yaml."""
    data_sha256: str
    """Of the file of normalized training images."""
    about: About = About.unnamed()
    """What these images are; a model of before this was written down knows digits."""
    familiarity: nn.Module | None = None
    """What a calibration adds; no part of the file."""

    @property
    def classifier(self) -> Classifier:
        """The network behind its normalization, in evaluation mode, for raw images."""
        classifier = Classifier(self.net, self.mean, self.std, self.familiarity)
        return classifier.eval()


def save(model: TrainedModel, path: Path) -> None:
    """Write weights and origin; the same model gives the same bytes."""
    origin = model._asdict() | {"about": model.about.model_dump()}
    net, _ = origin.pop("net"), origin.pop("familiarity")
    weights = {name: weight.detach().cpu().contiguous() for name, weight in net.state_dict().items()}
    # One entry only: safetensors does not keep the order of several.
    metadata = {"digits": json.dumps(origin, sort_keys=True)}
    path.write_bytes(safetensors.torch.save(weights, metadata))


def load(path: Path) -> TrainedModel:
    """Read a model, on the CPU and in evaluation mode.

    Raises:
        ModelFileError: it is not a model of this project, or not whole.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            origin = json.loads(file.metadata()["digits"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        name = origin["parameters"]["train"]["model"]
        if name not in names("digits.models"):
            raise ValueError(f"there is no model {name!r} here")
        model = choice("digits.models", name, Model)
        values = model.model_validate(origin["parameters"]["models"][name])
        if "about" in origin:
            origin["about"] = About.model_validate(origin["about"])
        classes = len(origin.get("about", About.unnamed()).classes)
        with torch.device("meta"):  # which takes no memory, whatever sizes the file claims
            expected = values.build(classes).state_dict()
        if {n: w.shape for n, w in expected.items()} != {n: w.shape for n, w in weights.items()}:
            raise ValueError("its weights are not those of the network that it describes")
        net = values.build(classes)
        net.load_state_dict(weights)
        if "familiarity" in origin:
            raise ValueError("it states a familiarity")
        trained = TrainedModel(net.eval(), **origin)
        if not all(isinstance(value, float) and isfinite(value) for value in (trained.mean, trained.std)):
            raise ValueError(f"mean is {trained.mean!r} and std {trained.std!r}; both must be numbers")
    except (safetensors.SafetensorError, ArithmeticError, LookupError, *ILL_FORMED) as error:
        cause = " ".join(str(error).split())
        raise ModelFileError(
            f"{path} is not a model of this project ({cause}); run the train stage"
        ) from None
    return trained
