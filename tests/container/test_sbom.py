"""The bill of materials of the image has all that is carried; a package that is not as locked is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container.programs import copy_programs, install
from tests.project import ROOT


def sbom(folder: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    return run(folder, "container/sbom.py", path)


def run(folder: Path, program: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    command = [sys.executable, program]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_all_that_is_carried_is_in_it_and_others_can_read_it() -> None:
    done = sbom(ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    found = {part["name"]: part for part in json.loads(done.stdout)["components"]}
    assert len(found) > 150
    assert {"prefect", "dvc", "MNIST images", "Digits of other writers", "onnxruntime-web"} <= found.keys()
    assert found["prefect"]["purl"].startswith("pkg:pypi/prefect@3.")
    assert found["prefect"]["properties"][0]["name"] == "lock: sha256"
    assert sbom(ROOT).stdout == done.stdout
    pytest.importorskip("cyclonedx", reason="what reads it is not here: make release-tools")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    schema = JsonStrictValidator(SchemaVersion.V1_6)
    assert schema.validate_str(done.stdout) is None
    assert schema.validate_str(done.stdout.replace('"purl"', '"url"')) is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, ": No such file or directory"),
        (b"good==1.0\n\xff", " is no lock file: byte 10 is not UTF-8"),
        (b"", " is no lock file: no line has NAME==VERSION"),
    ],
)
@pytest.mark.parametrize("program", ["sbom", "licenses"])
def test_without_a_lock_it_is_a_line(tmp_path: Path, program: str, content: bytes | None, said: str) -> None:
    copy_programs(tmp_path)
    lock = tmp_path / "requirements.lock"
    if content is not None:
        lock.write_bytes(content)
    done = run(tmp_path, f"container/{program}.py")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {lock}{said}\n")


@pytest.mark.parametrize("program", ["sbom", "licenses"])
def test_a_full_disk_is_a_line(tmp_path: Path, program: str) -> None:
    copy_programs(tmp_path)
    (tmp_path / "requirements.lock").write_text("absent==1.0\n")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, f"container/{program}.py"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "error: standard output: No space left on device\n")


def test_a_package_that_is_not_the_locked_one_is_told(tmp_path: Path) -> None:
    copy_programs(tmp_path)
    lock = ["good[more]==1.0 ; python_version < '3.12' \\", f"    --hash=sha256:{'0' * 64}", "good==1.1"]
    (tmp_path / "requirements.lock").write_text("\n".join([*lock, "planted==2.0", "absent==3.0", ""]))
    for name, version in (("good", "1.0+cpu"), ("planted", "2.1")):
        install(tmp_path / "packages", name, version, "License-Expression: MIT")
    done = sbom(tmp_path, tmp_path / "packages")
    assert (done.returncode, done.stderr) == (1, "error: planted 2.1 is installed, the lock has 2.0\n")
    good = json.loads(done.stdout)["components"][0]
    assert (good["version"], good["licenses"]) == ("1.0", [{"license": {"id": "MIT"}}])
    assert [found["value"] for found in good["properties"]] == ["0" * 64]
