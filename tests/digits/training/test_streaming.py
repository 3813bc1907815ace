"""Images that are read while training: each once, in a seeded order, in memory that does not grow."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from digits.training import streaming
from digits.training.loop import Examples, train
from digits.training.streaming import Stream, StreamError, open_tensors, require_room
from tests.digits.conftest import ReadWith
from tests.digits.training.test_loop import COUNT, SMALL, examples, silent
from tests.digits.training.test_state import Stopped, assert_same, run
from tests.project import ROOT

CPU = torch.device("cpu")


def save(data: Examples, path: Path) -> Path:
    statistics = {"mean": torch.tensor([0.1307]).double(), "std": torch.tensor([0.3081]).double()}
    save_file({"images": data.images, "labels": data.labels, **statistics}, path)
    return path


def numbered(count: int) -> Examples:
    """Images that are all their own number, which is the label as well."""
    labels = torch.arange(count)
    return Examples(labels.float().view(-1, 1, 1, 1).expand(-1, 1, 28, 28).contiguous(), labels)


def epochs(stream: Stream, size: int, count: int = 1, seed: int = 42) -> Iterator[list[torch.Tensor]]:
    """The labels of every batch; the images are checked against them."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        batches = []
        for images, labels in stream.batches(size, generator):
            assert torch.equal(images, labels.float().view(-1, 1, 1, 1).expand(-1, 1, 28, 28))
            batches.append(labels)
        yield batches


@pytest.mark.parametrize("count", [1, 15, 16, 17, 100, 101])
@pytest.mark.parametrize("size", [1, 7, 16, 60, 1000])
def test_every_image_is_once_in_an_epoch(tmp_path: Path, count: int, size: int) -> None:
    stream = Stream(save(numbered(count), tmp_path / "file"), CPU, buffer_size=16, block_size=4)
    assert len(stream) == count
    (batches,) = epochs(stream, size)
    assert torch.cat(batches).sort().values.tolist() == list(range(count))
    assert [len(labels) for labels in batches] == [len(part) for part in torch.arange(count).split(size)]


def test_a_seed_gives_one_order_and_every_epoch_another(tmp_path: Path) -> None:
    path = save(numbered(200), tmp_path / "file")
    streams = [Stream(path, CPU, buffer_size=64, block_size=8) for _ in range(2)]
    first, again = (torch.stack([torch.cat(e) for e in epochs(s, 16, count=2)]) for s in streams)
    assert torch.equal(first, again)
    assert not torch.equal(first[0], first[1])
    (other,) = epochs(streams[0], 16, seed=43)
    assert not torch.equal(torch.cat(other), first[0])


def test_images_from_everywhere_are_in_one_buffer(tmp_path: Path) -> None:
    stream = Stream(save(numbered(1000), tmp_path / "file"), CPU, buffer_size=100, block_size=10)
    (batches,) = epochs(stream, 100)
    for labels in batches:
        assert len(labels.div(100, rounding_mode="floor").unique()) > 3
        assert not torch.equal(labels, labels.sort().values)


def test_what_fits_into_a_buffer_is_trained_as_in_memory(read_with: ReadWith, tmp_path: Path) -> None:
    data = examples(COUNT)
    stream = Stream(save(data, tmp_path / "file"), CPU)
    in_memory, history = train(read_with(SMALL), data, log=silent)
    streamed, streamed_history = train(read_with(SMALL), stream, log=silent)
    assert history == streamed_history
    assert_same(in_memory, streamed)


def test_a_stopped_stream_goes_on_as_an_undisturbed_one(read_with: ReadWith, tmp_path: Path) -> None:
    stream = Stream(save(examples(COUNT), tmp_path / "file"), CPU, buffer_size=16, block_size=4)
    net, history, _ = run(read_with(SMALL), tmp_path / "undisturbed", data=stream)
    with pytest.raises(Stopped):
        run(read_with(SMALL), tmp_path / "state", 2, data=stream)
    resumed, resumed_history, _ = run(read_with(SMALL), tmp_path / "state", data=stream)
    assert_same(net, resumed)
    assert history == resumed_history


@pytest.mark.parametrize("kept", [0, 5, 100, 1000, -1])
def test_a_cut_file_is_one_line(tmp_path: Path, kept: int) -> None:
    path = save(numbered(20), tmp_path / "file")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        StreamError, match=f"^{path} is no whole file of normalized images .*; run the normalize"
    ):
        open_tensors(path)


@pytest.mark.parametrize(
    "tensors",
    [
        {"images": torch.zeros(3, 28, 28)},
        {"images": torch.zeros(3, 1, 28, 28).double()},
        {"labels": torch.zeros(4).long()},
        {"labels": torch.zeros(3)},
        {"images": torch.zeros(0, 1, 28, 28), "labels": torch.zeros(0).long()},
    ],
)
def test_another_kind_of_file_is_one_line(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    data = {
        "images": torch.zeros(3, 1, 28, 28),
        "labels": torch.zeros(3).long(),
        "mean": torch.zeros(1).double(),
    }
    save_file({**data, "std": data["mean"].clone(), **tensors}, tmp_path / "file")
    with pytest.raises(StreamError, match="is no whole file of normalized images"):
        open_tensors(tmp_path / "file")
    save_file({**data, **tensors}, tmp_path / "file")
    with pytest.raises(StreamError, match="is no whole file of normalized images"):
        open_tensors(tmp_path / "file")


def test_a_file_that_memory_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(psutil.virtual_memory().total + streaming.CHECKED_FROM)  # without taking the room
    with pytest.raises(StreamError, match=r"GB of memory are free on cpu; train.stream: true reads"):
        require_room(path, CPU)


MEMORY = """
import sys, torch
from pathlib import Path
from digits.training.streaming import Stream
stream = Stream(Path(sys.argv[1]), torch.device("cpu"), buffer_size=512, block_size=64)
seen = sum(int(labels.sum()) * 0 + len(images) for images, labels in stream.batches(64, torch.Generator()))
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(seen, *(int(status[name].split()[0]) for name in ("RssAnon", "RssFile", "VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_times_the_images_take_no_more_memory(tmp_path: Path) -> None:
    kilobytes = []
    for count in (2_000, 20_000):  # 6 MB and 63 MB
        path = save(numbered(count), tmp_path / str(count))
        command = [sys.executable, "-c", MEMORY, str(path)]
        output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        seen, *memory = map(int, output.split())
        assert seen == count
        kilobytes.append(memory)
    for small, large in zip(*kilobytes, strict=True):  # anonymous, mapped, and the peak of their sum
        assert large - small < 8_000
