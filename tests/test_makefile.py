"""What `make` is given is one word, whatever signs it has; a program that fails takes away no file."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import ROOT

PROGRAM = """#!/usr/bin/env python3
import json, os, sys
print(json.dumps(sys.argv[1:]))
sys.exit(int(os.environ.get("FAILS", 0)))
"""
ODD = ["rel 0", "x;touch y", "it's", "$(touch y)", "`touch y`", "a$$b", 'a"b', "*", "a#b", "x,y=z"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """With programs that print their arguments, and are all set up."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    names = ["requirements.lock", "requirements-dev.lock", "requirements-release.lock"]
    for number, name in enumerate([*names, ".venv/.installed-default", ".venv/.installed-release"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (number, number))
    for name in ("python", "docker", "prefect"):
        (tmp_path / ".venv/bin" / name).write_text(PROGRAM)
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    return tmp_path


def make(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"]}  # what an outer `make` was given is in the environment, too
    return subprocess.run(
        ["make", "PYTHON=python3", "VARIANT=default", *words],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
    )


def arguments(folder: Path, *words: str, **environment: str) -> list[str]:
    """Of the last program that ran."""
    done = make(folder, *words, **environment)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads([line for line in done.stdout.splitlines() if line.startswith("[")][-1])
    assert not (folder / "y").exists()
    return found


@pytest.mark.parametrize("given", ODD)
def test_what_is_given_is_one_word(checkout: Path, given: str) -> None:
    checked = ["check-release", f"FOLDER={given}", f"PUBLIC_KEY={given}", "ARGS=--more words"]
    expected = ["-m", "flows.check_release", given, "--public-key", given, "--more", "words"]
    assert arguments(checkout, *checked) == expected
    assert arguments(checkout, "check-release", FOLDER=given)[2] == given
    (checkout / given).touch()
    signed = ["-m", "flows.signing", given, "--key", given]
    assert arguments(checkout, "sign", f"FOLDER={given}", f"KEY={given}") == signed
    (checkout / given).unlink()
    assert "--new" in make(checkout, "sign", f"KEY={given}").stdout
    assert arguments(checkout, "pipeline", f"RECIPE={given}")[-1] == given
    assert arguments(checkout, "sweep", f"SWEEP={given}")[-1] == given
    assert f"BASE={given}" in arguments(checkout, "image", f"BASE={given}")


@pytest.mark.parametrize("given", ["rel 0", "x;touch y", "it's"])
def test_so_it_is_where_it_names_a_file_that_make_looks_for(checkout: Path, given: str) -> None:
    for words in (["server", f"SERVER_KEY={given}"], ["audit", f"ADVISORIES={given}", f"SERVICE={given}"]):
        assert make(checkout, *words, PREFECT_API_URL="http://127.0.0.1:1/api").returncode == 0
    assert (checkout / given).stat().st_mode & 0o777 == 0o600
    assert make(checkout, "setup", f"VARIANT={given}").returncode
    assert not (checkout / "y").exists()
    assert not list(checkout.glob("*part"))


@pytest.mark.parametrize(("target", "name"), [("sbom", "sbom.cdx.json"), ("licenses", "docs/licenses.md")])
def test_what_fails_leaves_the_file_that_was_there(checkout: Path, target: str, name: str) -> None:
    (checkout / name).write_text("as before")
    assert make(checkout, target, FAILS="1").returncode
    assert (checkout / name).read_text() == "as before"
    assert make(checkout, target).returncode == 0
    assert f"container/{target}.py" in (checkout / name).read_text()
    assert not list(checkout.rglob("*.part"))
