"""Whatever a release is made of: pipes, devices, files without end or sense."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from digits.common.files import sha256
from flows import check_release
from tests.flows.sealing import replace
from tests.project import ROOT


def pipe(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def emptied(folder: Path) -> None:
    (folder / "dvc.lock").unlink()
    (folder / "dvc.lock").mkdir()


def device(folder: Path) -> None:
    (folder / "provenance.json").unlink()
    (folder / "provenance.json").symlink_to("/dev/zero")


def large(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, size)


def statement(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Another statement, and a file that is not as it was."""

    def write(folder: Path) -> None:
        content = json.loads((folder / "provenance.json").read_text())
        content = change(content) or content
        (folder / "provenance.json").write_text(json.dumps(content))
        replace("metrics.json", "0.95", "0.99")(folder)

    return write


def of_each(**values: object) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        for subject in content["subject"]:
            subject["annotations"] |= values

    return change


def without(*path: str | int, value: object = 5) -> Callable[[dict[str, Any]], object]:
    def change(content: Any) -> None:
        *parents, last = path
        for key in parents:
            content = content[key]
        content[last] = value

    return change


ENDLESS = {
    "a pipe for the statement": (pipe("provenance.json"), "provenance.json is not a file"),
    "a pipe for the list": (pipe("SHA256SUMS"), "SHA256SUMS is not a file; without it"),
    "a pipe for a file": (pipe("model.onnx"), "model.onnx is not a file"),
    "a device": (device, "provenance.json is not a file"),
    "a folder": (
        emptied,
        "dvc.lock is not a file",
    ),
    "a list without end": (large("SHA256SUMS", 2**40), "SHA256SUMS has 1,099,511,627,776 bytes"),
    "a file without end": (large("model.onnx", 2**40), "model.onnx has 1,099,511,627,776 bytes"),
    "a statement without end": (large("provenance.json", 2**29), "provenance.json was changed"),
}
MALFORMED = {
    "no subjects": (statement(lambda _: {"subject": 5}), "metrics.json was changed"),
    "no object": (statement(lambda _: [5]), "metrics.json was changed"),
    "no blocks": (statement(of_each(blocks=[])), "metrics.json was changed"),
    "odd blocks": (statement(of_each(blocks=[5])), "metrics.json was changed between bytes 0 and "),
    "an odd size": (statement(of_each(bytes=-1)), "metrics.json was changed"),
    "odd notes": (
        statement(lambda content: [s.update(annotations=[1]) for s in content["subject"]] and None),
        "metrics.json was changed",
    ),
    "odd hashes": (
        statement(lambda content: [s.update(digest=[1]) for s in content["subject"]] and None),
        "metrics.json was changed",
    ),
    "a second hash": (
        lambda folder: (folder / "SHA256SUMS").write_text((folder / "SHA256SUMS").read_text() * 2),
        "SHA256SUMS: line 12 has a second hash for bom.cdx.json",
    ),
    "a name that forges lines": (
        lambda folder: (folder / "a\nerror: b\x1b[31mX").touch(),
        r"a\nerror: b\x1b[31mX is not of this release",
    ),
    "a name that is no text": (
        lambda folder: Path(os.fsdecode(bytes(folder) + b"/\xff")).touch(),
        r"\udcff is not of this release",
    ),
}


def assert_told(said: str, lines: list[str]) -> None:
    assert all(line.startswith("error: ") and line.isprintable() for line in lines), lines
    assert any(line.startswith(f"error: {said}") for line in lines), lines


def test_what_has_no_end_is_not_read(published: Path, tmp_path: Path) -> None:
    """One process for all of them, in bounded time and memory."""
    folders = [Path(shutil.copytree(published, tmp_path / what)) for what in ENDLESS]
    for folder in folders:
        ENDLESS[folder.name][0](folder)
    code = "import sys; from flows.check_release import main; print([main([f]) for f in sys.argv[1:]])"
    command = ["prlimit", f"--as={4 * 2**30}", sys.executable, "-c", code, *map(str, folders)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{[1] * len(folders)}\n"
    for _, said in ENDLESS.values():
        assert_told(said, done.stderr.splitlines())


@pytest.mark.parametrize("what", MALFORMED)
def test_whatever_a_release_is_made_of_the_answer_is_lines(
    copied: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = MALFORMED[what]
    change(copied)
    assert check_release.main([str(copied)]) == 1
    assert_told(said, capsys.readouterr().err.splitlines())


@pytest.mark.parametrize("name", ["SHA256SUMS", "provenance.json", "metrics.json", "model.sig"])
def test_what_cannot_be_read_is_named(
    copied: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "model.sig").touch()
    unlocked = os.open

    def locked(path: Path, *arguments: Any, **options: Any) -> int:
        if Path(path).name == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return unlocked(path, *arguments, **options)

    monkeypatch.setattr(os, "open", locked)
    assert check_release.main([str(copied), "--public-key", "any"]) == 1
    assert f"error: {name} cannot be read: Permission denied" in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_named(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def locked(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    for name in ("iterdir", "is_dir"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, locked)
            assert check_release.main([str(copied)]) == 1
        assert capsys.readouterr().err == f"error: {copied} cannot be read: Permission denied\n"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("provenance.json", without("subject"), "provenance.json names no files"),
        ("provenance.json", without("predicate"), "the files of "),
        ("provenance.json", without("predicate", "runDetails"), "the files of "),
        ("bom.cdx.json", without("metadata", "component", "hashes", value=[]), "the files of "),
        ("bom.cdx.json", without("components"), "the files of "),
        ("parameters.json", without("train"), "the parameters of train are not as dvc.lock"),
    ],
)
def test_what_is_malformed_is_told_with_what_else_is_wrong(
    copied: Path, name: str, change: Callable[[Any], object], said: str
) -> None:
    """By somebody who gave all of it new hashes."""
    content = json.loads((copied / name).read_text())
    change(content)
    (copied / name).write_text(json.dumps(content))
    replace("metrics.json", "0.95", "0.99")(copied)
    listed = sorted(path.name for path in copied.iterdir() if path.name != "SHA256SUMS")
    (copied / "SHA256SUMS").write_text("".join(f"{sha256(copied / name)}  {name}\n" for name in listed))
    found = check_release.faults(copied.rename(copied.with_name("release")))
    assert any(line.startswith(said) for line in found), found
    assert "metrics.json is not the file that dvc.lock names" in found


def test_a_list_of_nothing_but_faults_is_cut(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "SHA256SUMS").write_text("x\n" * 5000)
    assert check_release.main([str(copied)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == check_release.MOST + 1
    assert lines[-1].startswith("error: and 4,9")
