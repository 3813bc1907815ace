"""What was changed in a release is found and named; who made it is said in forms that others read."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.common.files import sha256
from flows import check_release
from tests.flows import sealing
from tests.flows.sealing import replace
from tests.project import ROOT


def write(place: int, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / "model.onnx").open("r+b") as file:
            file.seek(place)
            file.write(content)

    return change


def linked(folder: Path) -> None:
    shutil.move(folder / "metrics.json", folder.parent)
    (folder / "metrics.json").symlink_to(folder.parent / "metrics.json")


ONE = sealing.FILES["models/model.onnx"][5000]
FAULTS = {
    "a byte": (
        write(5000, bytes([ONE ^ 1])),
        f"model.onnx was changed: byte 5,000 is 0x{ONE ^ 1:02x} and was 0x{ONE:02x}",
    ),
    "bytes": (write(4090, b"\xff" * 9), "model.onnx was changed between bytes 0 and 8,191"),
    "the end": (
        lambda folder: (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:9000]),
        "model.onnx was changed: it has 9,000 bytes and had 20,000, and differs at or after byte 8,192",
    ),
    "a file": (lambda folder: (folder / "mistakes.png").unlink(), "mistakes.png is missing"),
    "one more": (lambda folder: (folder / "run.sh").touch(), "run.sh is not of this release"),
    "a link": (linked, "metrics.json is not a file"),
    "a hash": (
        replace("SHA256SUMS", "  metrics.json", "0  metrics.json"),
        "SHA256SUMS: line 5 is not a SHA-256 and the name of a file",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_was_changed_is_named(copied: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    change, said = FAULTS[what]
    change(copied)
    assert check_release.main([str(copied)]) == 1
    assert f"error: {said}" in capsys.readouterr().err


def test_a_release_that_nobody_touched_is_whole(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_release.main([str(copied)]) == 0
    assert "every file is the one that was published" in capsys.readouterr().out


def test_a_changed_hash_is_told_from_a_changed_file(copied: Path) -> None:
    digest = sha256(copied / "metrics.json")
    replace("SHA256SUMS", digest, digest[::-1])(copied)
    assert any(
        fault.startswith("SHA256SUMS: the hash of metrics.json was changed")
        for fault in check_release.faults(copied)
    )


@pytest.mark.parametrize(
    ("change", "statement", "said"),
    [
        (replace("metrics.json", "0.95", "0.99"), False, "provenance.json: the hash of metrics.json"),
        (
            replace("metrics.json", "0.95", "0.99"),
            True,
            "metrics.json is not the file that dvc.lock names",
        ),
        (
            replace("parameters.json", "mlp", "cnn"),
            True,
            "the parameters of train are not as dvc.lock",
        ),
        (
            replace("bom.cdx.json", '"2.14.1"', '"2.14.0"'),
            True,
            "bom.cdx.json: the versions of packages",
        ),
        (
            replace("provenance.json", '"torch": "2.14.1"', '"torch": "2"'),
            False,
            "provenance.json: the versions",
        ),
        (replace("provenance.json", '"mlp"', '"cnn"'), False, "the parameters of train are not"),
        (
            replace("provenance.json", "0123456789abcdef0123456789abcdef", "0" * 32),
            False,
            "provenance.json: digits/common is not as dvc.lock has it",
        ),
        (
            replace("dvc.lock", '"stages"', '"others"'),
            True,
            "dvc.lock is not that of a release: KeyError",
        ),
        (replace("dvc.lock", '"2.0"', "[" * 200), True, "dvc.lock is not that of a release: "),
    ],
)
def test_what_does_not_fit_together_is_told(
    copied: Path, tmp_path: Path, change: Callable[[Path], None], statement: bool, said: str
) -> None:
    """By somebody who gave all of it new hashes."""
    (tmp_path / "renamed").mkdir()
    folder = copied.rename(tmp_path / "renamed/release")
    change(folder)
    sealing.seal(folder, statement=statement)
    found = check_release.faults(folder)
    assert any(fault.startswith(said) for fault in found), found
    named = folder.rename(tmp_path / "renamed" / copied.name)
    assert f"SHA256SUMS is not that of release {copied.name}" in check_release.faults(named)[0]


def test_no_release_is_told_in_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.check_release", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path} is no release: there is no SHA256SUMS in it\n"
