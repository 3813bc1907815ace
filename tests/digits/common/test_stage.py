"""What a stage tells of troubles that are no mistake of the project."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

TOO_LARGE = 10**17  # bytes: more than a process can address


def failed(code: str, folder: Path) -> str:
    """What a stage says on standard error that ends with 1."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    ("library", "take"), [("numpy", f"numpy.ones({TOO_LARGE})"), ("torch", f"torch.ones({TOO_LARGE})")]
)
def test_too_little_memory_is_one_line(tmp_path: Path, library: str, take: str) -> None:
    code = f"""
import {library}
from digits.common.stage import run
run(lambda values: {take}, lambda: None)
"""
    said = failed(code, tmp_path)
    (line,) = said.splitlines()
    assert line.startswith("error: not enough memory: ")
    assert "docs/scaling.md" in line


def test_a_full_disk_is_one_line_with_the_file(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from digits.common.files import replacing
from digits.common.stage import run
from tests.disk import full_after
def main(values):
    with full_after(64), replacing(Path("models/model.onnx")) as temporary:
        temporary.write_bytes(bytes(1000))
run(main, lambda: None)
"""
    assert failed(code, tmp_path).splitlines() == ["error: models/model.onnx: File too large"]


@pytest.mark.parametrize("read", ["open({!r})", "safetensors.safe_open({!r}, 'numpy')"])
def test_a_missing_file_has_its_name_and_what_makes_it(tmp_path: Path, read: str) -> None:
    code = f"""
import safetensors
from digits.common.stage import run
run(lambda values: {read.format("data/test.safetensors")}, lambda: None)
"""
    (line,) = failed(code, tmp_path).splitlines()
    assert line == "error: data/test.safetensors is missing; `dvc repro` runs the stages that make it"


def test_another_trouble_of_a_library_keeps_its_traceback(tmp_path: Path) -> None:
    code = """
from digits.common.stage import run
def main(values):
    raise RuntimeError("shapes cannot be multiplied")
run(main, lambda: None)
"""
    said = failed(code, tmp_path)
    assert "RuntimeError: shapes cannot be multiplied" in said
    assert 'File "<string>"' in said
