"""Where a training stands after an epoch, as one safetensors file: one that was killed goes on from it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from digits.common.files import replacing

TENSOR = "tensor"  # the key in JSON that stands for one


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
    terms: Mapping[str, float] = field(default_factory=dict)
    """Of a combination of losses: each of them, unweighted, over the interval's images."""


def best_epoch(history: Iterable[Interval]) -> int:
    """The epoch with the lowest validation loss, the first of equals; 0 without any."""
    losses = ((row.validation_loss, row.epoch) for row in history)
    return min(((loss, epoch) for loss, epoch in losses if loss is not None), default=(0.0, 0))[1]


@dataclass
class TrainingState:
    """Everything that the next epoch depends on, and the history so far."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    generators: Mapping[str, torch.Generator]
    """On the CPU, by what they draw."""
    history: list[Interval] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    """The weights after the best epoch, where those are to be kept."""

    @property
    def epoch(self) -> int:
        """The last finished epoch, 0 at the start."""
        return self.history[-1].epoch if self.history else 0

    @property
    def best_epoch(self) -> int:
        """Of the history so far."""
        return best_epoch(self.history)

    def save(self, path: Path, identity: Mapping[str, str]) -> None:
        """Write it in one step; `identity` says of which training it is the state."""
        with replacing(path) as temporary:
            temporary.write_bytes(self.to_bytes(identity))

    def to_bytes(self, identity: Mapping[str, str]) -> bytes:
        """What `save` writes."""
        solver = self.optimizer.state_dict()
        tensors = {f"net.{name}": weight for name, weight in self.net.state_dict().items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
        tensors |= {f"generator.{name}": g.get_state() for name, g in self.generators.items()}
        tensors |= {f"global.{name}": state for name, state in global_generators().items()}
        metadata = {
            "identity": dict(identity),
            "solver": _take_out(solver, "solver", tensors),
            "history": [asdict(row) for row in self.history],
        }
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        content = {**metadata, "sha256": _sha256(metadata, whole)}
        return safetensors.torch.save(whole, {"training": json.dumps(content)})

    def restore(self, path: Path, identity: Mapping[str, str]) -> bool:
        """Take over what `save` wrote for the same training; False, with nothing changed, without it."""
        try:
            return self.from_bytes(path.read_bytes(), identity)
        except OSError:
            return False

    def from_bytes(self, content: bytes, identity: Mapping[str, str]) -> bool:
        """Likewise, of what `to_bytes` returned."""
        try:
            tensors = safetensors.torch.load(content)
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            metadata = json.loads(header["__metadata__"]["training"])
            whole = metadata.pop("sha256") == _sha256(metadata, tensors)
        except (safetensors.SafetensorError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
            return False
        # One bit that a disk has flipped would make another model.
        if not whole or metadata["identity"] != dict(identity):
            return False
        before = self.to_bytes({})
        try:
            self._take(metadata, tensors)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            # A part does not fit, though somebody has made the hash right.
            self.from_bytes(before, {})
            return False
        return True

    def _take(self, metadata: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
        self.net.load_state_dict(_below(tensors, "net"))
        solver = _put_back(metadata["solver"], tensors)
        solver["state"] = {int(number): values for number, values in solver["state"].items()}
        self.optimizer.load_state_dict(solver)
        self.best = _below(tensors, "best")
        for name, generator in self.generators.items():
            generator.set_state(tensors[f"generator.{name}"])
        set_global_generators(_below(tensors, "global"))
        self.history = [Interval(**row) for row in metadata["history"]]


def _sha256(metadata: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(metadata).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {list(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _below(named: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(f"{prefix}."): v for k, v in named.items() if k.startswith(f"{prefix}.")}


def _take_out(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Nested lists and dictionaries as JSON; each tensor goes to `tensors` and leaves its name."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value
        return {TENSOR: name}
    if isinstance(value, dict):
        return {key: _take_out(below, f"{name}.{key}", tensors) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_take_out(below, f"{name}.{number}", tensors) for number, below in enumerate(value)]
    return value


def _put_back(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, dict):
        return (
            tensors[value[TENSOR]]
            if TENSOR in value
            else {k: _put_back(v, tensors) for k, v in value.items()}
        )
    return [_put_back(below, tensors) for below in value] if isinstance(value, list) else value


def global_generators() -> dict[str, torch.Tensor]:
    """The states of PyTorch's global random generators."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_global_generators(states: Mapping[str, torch.Tensor]) -> None:
    """Take over what `global_generators` returned."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
