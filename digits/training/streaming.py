"""Training images that stay in their file: read block by block while the network trains, in flat memory."""

import json
import math
import mmap
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from digits.common.errors import DigitsError

BLOCK = 256
"""Images that lie side by side in the file and are read together: 0.8 MB."""
BUFFER = 2**16
"""Images that are shuffled together: 206 MB, twice, for one buffer is read while the other is used."""
AROUND = 2**21  # bytes: Linux maps pages around one that is read, but never farther
CHECKED_FROM = 2**30  # bytes: a file below this fits wherever PyTorch does


class StreamError(DigitsError):
    """A file of normalized images is not whole, or has no room in memory."""


class Tensors(NamedTuple):
    """What a file of normalized images holds; the arrays are the file itself, mapped."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    mean: float
    std: float
    mapped: mmap.mmap

    def forget(self, array: NDArray[Any], first: int, last: int) -> None:
        """Let go of the memory of rows `first` to `last` - 1; they are read again when they are used."""
        offset = array.ctypes.data - np.frombuffer(self.mapped, np.uint8).ctypes.data
        begin, end = (offset + row * array.strides[0] for row in (first, last))
        begin = max(0, begin - AROUND) // mmap.PAGESIZE * mmap.PAGESIZE
        self.mapped.madvise(mmap.MADV_DONTNEED, begin, min(end + AROUND, len(self.mapped)) - begin)


def open_tensors(path: Path) -> Tensors:
    """Map a safetensors file of normalized images, after a look at its header and its size.

    Raises:
        StreamError: it is cut short, or does not hold float32 images [n, 1, 28, 28] with int64 labels [n].
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        length = int.from_bytes(mapped[:8], "little")
        header = json.loads(mapped[8 : 8 + length])
        header.pop("__metadata__", None)
        size = 8 + length + max(tensor["data_offsets"][1] for tensor in header.values())
        if size != len(mapped):
            raise ValueError(f"{len(mapped):,} bytes instead of {size:,}")
        images, labels, mean, std = (
            _array(mapped, 8 + length, header[name], name, kind)
            for name, kind in (("images", "F32"), ("labels", "I64"), ("mean", "F64"), ("std", "F64"))
        )
        if images.shape != (len(labels), 1, 28, 28) or not len(labels):
            raise ValueError(f"images {list(images.shape)} and labels {list(labels.shape)}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StreamError(
            f"{path} is no whole file of normalized images ({error}); run the normalize stage again"
        ) from None
    return Tensors(images, labels, float(mean[0]), float(std[0]), mapped)


def _array(mapped: mmap.mmap, data: int, about: dict[str, Any], name: str, kind: str) -> NDArray[Any]:
    types = {"F32": np.float32, "I64": np.int64, "F64": np.float64}
    if about["dtype"] != kind:
        raise ValueError(f"{name} are {about['dtype']}, not {kind}")
    begin, end = about["data_offsets"]
    count = math.prod(about["shape"])
    if end - begin != count * np.dtype(types[kind]).itemsize:
        raise ValueError(f"{name} have {end - begin:,} bytes, which is not their shape")
    return np.frombuffer(mapped, types[kind], count, data + begin).reshape(about["shape"])


class Stream:
    """The images of a file, as `training.Examples` has them in memory.

    They are shuffled in two levels: blocks of neighbours are dealt to buffers anew in each epoch, and each
    buffer is shuffled as a whole. Where all images fit into one buffer, that is the order of `Examples`.
    """

    def __init__(
        self, path: Path, device: torch.device, buffer_size: int = BUFFER, block_size: int = BLOCK
    ) -> None:
        self.tensors = open_tensors(path)
        self.device = device
        self._block = block_size
        self._blocks = max(1, buffer_size // block_size)

    def __len__(self) -> int:
        return len(self.tensors.labels)

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Every image once, as `Examples.batches`; all batches but the last have `size` images."""
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        missing = size
        for images, labels in self._buffers(generator):
            order = torch.randperm(len(labels), generator=generator).to(self.device)
            labels_in_order = labels.index_select(0, order)
            begin = 0
            while begin < len(order):
                part = slice(begin, begin + missing)
                kept.append((images.index_select(0, order[part]), labels_in_order[part]))
                begin += len(kept[-1][1])
                missing -= len(kept[-1][1])
                if not missing:
                    yield _together(kept)
                    kept, missing = [], size
        if kept:
            yield _together(kept)

    def _buffers(self, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The blocks in random order, as many at a time as fit; another thread reads the next ones."""
        starts = torch.arange(0, len(self), self._block)
        if len(starts) > self._blocks:
            starts = starts[torch.randperm(len(starts), generator=generator)]
        parts = starts.split(self._blocks)
        room = min(len(self), self._blocks * self._block)
        rooms = [
            (torch.empty(room, *self.tensors.images.shape[1:]), torch.empty(room, dtype=torch.int64))
            for _ in parts[:2]
        ]
        with ThreadPoolExecutor(1, "reader") as reader:
            waiting: list[Future[tuple[torch.Tensor, torch.Tensor]]] = []
            for number, part in enumerate(parts):
                waiting.append(reader.submit(self._read, sorted(part.tolist()), *rooms[number % 2]))
                if number:
                    yield waiting.pop(0).result()
            yield waiting.pop().result()

    def _read(
        self, starts: list[int], images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        filled = 0
        for start in starts:
            end = min(start + self._block, len(self))
            for array, target in ((self.tensors.images, images), (self.tensors.labels, labels)):
                np.copyto(target[filled : filled + end - start].numpy(), array[start:end])
                self.tensors.forget(array, start, end)
            filled += end - start
        return images[:filled].to(self.device), labels[:filled].to(self.device)


def _together(parts: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    if len(parts) == 1:
        return parts[0]
    images, labels = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(labels)


def require_room(path: Path, device: torch.device) -> None:
    """Find out before a file is loaded as a whole whether it fits.

    Raises:
        StreamError: fewer bytes are free, on the device or in this machine's memory, than the file has.
    """
    size = path.stat().st_size
    if size < CHECKED_FROM:
        return
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        import psutil

        free = psutil.virtual_memory().available
    if size > free:
        raise StreamError(
            f"{path} has {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free on {device}; "
            "train.stream: true reads it while training"
        )
