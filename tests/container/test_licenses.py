"""The licences of what is carried: all are known and accepted, the list is theirs; a planted one is found."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.container.programs import copy_programs, install, load
from tests.project import ROOT


@pytest.fixture(scope="module")
def licenses() -> ModuleType:
    return load("licenses")


def test_all_are_accepted_and_the_list_is_up_to_date(
    licenses: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert licenses.main([]) == 0, capsys.readouterr().err
    listed = (ROOT / "docs/licenses.md").read_text().splitlines()
    said = capsys.readouterr().out.splitlines()
    assert len(said) > 150
    # An environment without CUDA has fewer packages.
    assert [line for line in said if line not in listed] == [], "run: make licenses"
    names = {line.split(" | ")[0].removeprefix("| ") for line in listed if line.startswith("| ")}
    locked = {line.split("==")[0].split("[")[0] for line in licenses.LOCK.read_text().splitlines()}
    assert names - {"what"} - licenses.OTHERS.keys() <= locked, "some are carried no more; run: make licenses"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("License-Expression: GPL-3.0-only", "'GPL-3.0-only'"),
        ("License-Expression: MIT AND (AGPL-3.0-only OR SSPL-1.0)", "'(AGPL-3.0-only OR SSPL-1.0)'"),
        ("License: The Unheard-of License", "'The Unheard-of License'"),
        ("License: Proprietary\nClassifier: License :: Other/Proprietary License", "'Proprietary'"),
        ("Summary: says nothing", "'nothing'"),
    ],
)
def test_a_planted_licence_is_found(tmp_path: Path, fields: str, fault: str) -> None:
    copy_programs(tmp_path)
    (tmp_path / "requirements.lock").write_text(
        "good==1.0 \\\n    --hash=sha256:00\nplanted[more]==2.0\nother==3.0\n"
    )
    for name, said in (("good", "License: MIT license"), ("planted", fields)):
        install(tmp_path / "packages", name, "1.0", said)
    done = subprocess.run(
        [sys.executable, "container/licenses.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "packages")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == f"error: planted: the licence {fault} is not accepted here\n"
    assert "| good | MIT |" in done.stdout


def test_the_licence_of_this_project_is_one_everywhere() -> None:
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert 'org.opencontainers.image.licenses="Apache-2.0"' in (ROOT / "Dockerfile").read_text()
    assert "\nlicense: Apache-2.0\n" in (ROOT / "CITATION.cff").read_text()
    assert "!LICENSE" in (ROOT / ".dockerignore").read_text().splitlines()
    for stage in ("export", "report"):  # of the ONNX file, and on the page
        assert re.search('"license": f?"Apache-2.0', (ROOT / f"stages/{stage}.py").read_text())
