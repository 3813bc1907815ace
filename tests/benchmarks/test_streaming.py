"""The measurement of streamed training: the memory it reads, and the table it prints."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import streaming
from benchmarks.project import ROOT
from benchmarks.streaming import Epoch, memory, table
from digits.training.sections import TrainingValues

HOLD = """
print(flush=True)
input()
held = b"1" * 50_000_000
print(len(held), flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_of_a_process_has_its_two_parts() -> None:
    # another process: this one may give memory back at any moment, that of other tests
    with subprocess.Popen(
        [sys.executable, "-I", "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        before = memory(process.pid)
        print(file=process.stdin, flush=True)
        held = int(process.stdout.readline())
        after = memory(process.pid)
        process.stdin.close()
    assert before["VmRSS"] >= before["RssAnon"] + before["RssFile"] > 1_000_000
    assert after["RssAnon"] - before["RssAnon"] == pytest.approx(held, rel=0.1)
    assert memory(2**22 + 1) == {}


def test_the_table_has_a_line_for_each_epoch() -> None:
    peaks = {"RssAnon": 10**9, "RssFile": 2 * 10**8, "VmRSS": 11 * 10**8}
    lines = table([Epoch(60_000, True, 3.25, 41234.0, peaks)]).splitlines()
    assert lines[2:] == ["| 60,000 | while training | 41,234 | 3.2 s | 1,000 MB | 200 MB | 1,100 MB |"]


def test_a_folder_has_what_the_stage_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, folder = tmp_path / "source", tmp_path / "folder"
    (source / "data/normalized").mkdir(parents=True)
    (source / "data/normalized/validation.safetensors").write_bytes(b"images")
    for name in ("params.yaml", "versions.yaml"):
        shutil.copy(ROOT / name, source)
    monkeypatch.setattr(streaming, "ROOT", source)
    folder.mkdir()
    streaming.prepare(folder, streamed=True)
    values = TrainingValues.read(folder / "params.yaml")
    assert (values.train.epochs, values.train.stream) == (1, True)
    assert (folder / "versions.yaml").read_bytes() == (source / "versions.yaml").read_bytes()
    assert (folder / "data/normalized/validation.safetensors").read_bytes() == b"images"
