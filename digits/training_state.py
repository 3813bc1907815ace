"""Where a training stands after an epoch, as one safetensors file: one that was killed goes on from it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from digits.files import replacing


@dataclass(frozen=True)
class Interval:
    """What happened since the interval before; one row of reports/training.csv."""

    epoch: int
    """From 1."""
    batch: int
    """Batches of this epoch so far."""
    step: int
    """Batches since the start."""
    lr: float
    loss: float
    """Mean over the interval's images, with dropout at work."""
    accuracy: float
    """Likewise, 0 to 1."""
    validation_loss: float | None = None
    """At an epoch's end, where validation images are set aside: their mean cross entropy in nats."""
    validation_accuracy: float | None = None


@dataclass
class TrainingState:
    """Everything that the next epoch depends on, and the history so far."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    shuffle: torch.Generator
    history: list[Interval] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """The last finished epoch, 0 at the start."""
        return self.history[-1].epoch if self.history else 0

    def save(self, path: Path, identity: Mapping[str, str]) -> None:
        """Write it in one step; `identity` says of which training it is the state."""
        solver = self.optimizer.state_dict()
        tensors = {f"net.{name}": weight for name, weight in self.net.state_dict().items()}
        tensors["generator.shuffle"] = self.shuffle.get_state()
        tensors |= {f"generator.{name}": state for name, state in _global_generators().items()}
        scalars: dict[str, Any] = {}
        for number, values in solver["state"].items():
            for name, value in values.items():
                kind = tensors if isinstance(value, torch.Tensor) else scalars
                kind[f"solver.{number}.{name}"] = value
        metadata = {
            "identity": dict(identity),
            "groups": solver["param_groups"],
            "scalars": scalars,
            "schedule": self.schedule.state_dict(),
            "history": [asdict(row) for row in self.history],
        }
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with replacing(path) as temporary:
            temporary.write_bytes(safetensors.torch.save(whole, {"training": json.dumps(metadata)}))

    def restore(self, path: Path, identity: Mapping[str, str]) -> bool:
        """Take over what `save` wrote for the same training; False, with nothing changed, without it."""
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = json.loads(file.metadata()["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError):
            return False
        if metadata["identity"] != dict(identity):
            return False
        self.net.load_state_dict(_below(tensors, "net"))
        values: dict[int, dict[str, Any]] = {}
        for name, value in (_below(tensors, "solver") | _below(metadata["scalars"], "solver")).items():
            number, _, key = name.partition(".")
            values.setdefault(int(number), {})[key] = value
        self.optimizer.load_state_dict({"state": values, "param_groups": metadata["groups"]})
        self.schedule.load_state_dict(metadata["schedule"])
        self.shuffle.set_state(tensors["generator.shuffle"])
        torch.set_rng_state(tensors["generator.cpu"])
        if "generator.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["generator.cuda"])
        self.history = [Interval(**row) for row in metadata["history"]]
        return True


def _below(named: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(f"{prefix}."): v for k, v in named.items() if k.startswith(f"{prefix}.")}


def _global_generators() -> dict[str, torch.Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states
