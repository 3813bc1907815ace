"""Processes that train one network together, as `torchrun` starts them: each has its part of every batch."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from digits.common.errors import DigitsError
from digits.networks import devices
from digits.training.objective import Targets
from digits.training.sections import TrainingValues
from digits.training.state import TrainingState

Loss = Callable[[torch.Tensor, Targets], torch.Tensor]
Evaluate = Callable[[torch.Tensor, Targets, Loss], tuple[torch.Tensor, torch.Tensor]]


class RankError(DigitsError):
    """These processes cannot train together, or not any more."""


@contextmanager
def _told_of_an_end() -> Iterator[None]:
    """A RankError in place of what Gloo or NCCL say when another process has ended."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        cause = re.sub(r"^\[\S*\] ", "", " ".join(str(error).split())).split(". ")[0]
        raise RankError(f"another process of this training has ended ({cause})") from None


def launched() -> bool:
    """Whether `torchrun` started this process."""
    return dist.is_torchelastic_launched()


def join(values: TrainingValues) -> "Ranks":
    """Meet the other processes that `torchrun` started: over NCCL on GPUs, one for each, else over Gloo.

    Raises:
        RankError: a batch has fewer images than there are processes, or this machine fewer GPUs.
        DeviceError: as `devices.choose`.
    """
    rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if values.batch_size < size:
        raise RankError(
            f"a batch has {values.batch_size} images, too few for {size} processes; allowed: "
            f"train.batch_size (or the solver's own) of {size} or more, or fewer processes"
        )
    device = devices.choose(values.train.device)
    if device.type == "cuda":
        here, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if here > gpus:
            raise RankError(
                f"train.device is {values.train.device!r}, but this machine has {gpus} GPUs for {here} "
                f"processes; allowed: --nproc-per-node {gpus} or fewer, or train.device: cpu"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Ranks(rank, size, device)


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together."""

    rank: int
    """From 0, which alone reads and writes files besides the data, and speaks."""
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def leave(self) -> None:
        """Part from the others, at the end of a training that went well."""
        dist.destroy_process_group()

    @_told_of_an_end()
    def require_same(self, identity: Mapping[str, str]) -> None:
        """Find out before any work whether all are about to train the same.

        Raises:
            RankError: on all of them, where one has another `identity` than the first.
        """
        digest = hashlib.sha256(json.dumps(identity).encode()).digest()
        own = torch.frombuffer(bytearray(digest), dtype=torch.uint8).to(self.device)
        of_first = own.clone()
        dist.broadcast(of_first, 0)
        differ = (own != of_first).any().long()
        dist.all_reduce(differ)
        if differ:
            raise RankError(
                "params.yaml, code, PyTorch or data/normalized/ is not the same for all processes; "
                "copy this folder from the first machine to the others"
            )

    @_told_of_an_end()
    def share(self, state: TrainingState) -> None:
        """Let all go on from where the first stands."""
        content = state.to_bytes({}) if self.first and state.epoch else b""
        size = torch.tensor([len(content)], device=self.device)
        dist.broadcast(size, 0)
        if not size:
            return
        carrier = torch.empty(int(size), dtype=torch.uint8, device=self.device)
        if self.first:
            carrier.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(carrier, 0)
        if not self.first:
            state.from_bytes(carrier.cpu().numpy().tobytes(), {})

    def rows(self, count: int) -> slice:
        """This process's part of a batch of `count`."""
        return part(count, self.rank, self.size)

    @_told_of_an_end()
    def shared(self, function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        """What `function` says of all images, of which each process asks it about its own."""
        rows = self.rows(len(images))
        own = function(images[rows])
        whole = own.new_zeros(len(images), *own.shape[1:])
        whole[rows] = own
        dist.all_reduce(whole)
        return whole

    def seed(self, seed: int, epoch: int) -> None:
        """Let each process draw dropout of its own in this epoch, the same whenever the epoch is trained."""
        words = np.random.SeedSequence((seed, epoch, self.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(words[0]))

    def parallel(self, net: nn.Module) -> nn.Module:
        """The network with gradients that are the mean over all processes."""
        return DistributedDataParallel(net, [self.device.index] if self.device.type == "cuda" else None)

    def gradients(self, evaluate: Evaluate) -> Evaluate:
        """What `evaluate`, with a network that is `parallel`, says of a batch that all have as a whole.

        Each works on its part. What is returned, and the gradient, are those of the whole batch, everywhere
        the same; so a line search takes the same decision in all processes.
        """

        @_told_of_an_end()
        def of_the_whole(
            images: torch.Tensor, targets: Targets, loss: Loss
        ) -> tuple[torch.Tensor, torch.Tensor]:
            count = len(images)
            own = self.rows(count)
            # DDP takes the mean over processes, which is that over images where their parts are weighted so.
            weight = (own.stop - own.start) * self.size / count
            # Who has no image must still take part, with one that does not count.
            taken = own if weight else slice(0, 1)
            value, output = evaluate(images[taken], targets.rows(taken), lambda o, t: loss(o, t) * weight)
            whole = output.new_zeros(count * output.shape[1] + 1, dtype=torch.float32)
            outputs = whole[1:].view(count, -1)
            whole[0] = value / self.size
            if weight:
                outputs[own] = output.float()
            dist.all_reduce(whole)
            return whole[0], outputs

        return of_the_whole

    @_told_of_an_end()
    def share_buffers(self, net: nn.Module) -> None:
        """Give all the first one's running statistics, so that all judge the same network."""
        for buffer in net.buffers():
            dist.broadcast(buffer, 0)


def part(count: int, rank: int, size: int) -> slice:
    """This rank's rows of a batch of `count`; the first ranks may have one more than the last."""
    each, more = divmod(count, size)
    start = rank * each + min(rank, more)
    return slice(start, start + each + (rank < more))
