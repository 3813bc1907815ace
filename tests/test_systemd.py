"""The unit of a worker, as systemd's own tools see it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
UNIT = ROOT / "systemd/digits-worker.service"


def analyzed(folder: Path, text: str, *command: str) -> subprocess.CompletedProcess[str]:
    """What `systemd-analyze` says of a unit whose project is this one."""
    unit = folder / UNIT.name
    unit.write_text(text.replace("/srv/digits/.venv", str(folder / ".venv")))
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(shutil.which("true") or "", python)
    return subprocess.run(
        ["systemd-analyze", *command, str(unit)],
        capture_output=True,
        text=True,
        env={"SYSTEMD_LOG_COLOR": "0"},
    )


def test_it_is_valid_and_a_fault_in_it_is_seen(tmp_path: Path) -> None:
    text = UNIT.read_text()
    found = analyzed(tmp_path, text, "verify", "--man=no")
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    wrong = text.replace("Restart=always", "Restart=sometimes")
    assert "Failed to parse service restart" in analyzed(tmp_path, wrong, "verify", "--man=no").stderr


def test_the_service_can_do_little_else(tmp_path: Path) -> None:
    """Exposure from 0 to 10, in tenths; a service without any restriction has 9.6."""
    command = ("security", "--offline=yes", "--no-pager", "--threshold=30")
    text = UNIT.read_text()
    assert analyzed(tmp_path, text, *command).returncode == 0
    open_ = "\n".join(line for line in text.splitlines() if not line.startswith(("Protect", "Restrict")))
    assert analyzed(tmp_path, open_, *command).returncode != 0


def test_it_starts_the_worker_of_the_makefile() -> None:
    started = next(line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart="))
    (target,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if "-m flows.worker" in line)
    made = target.replace("$(call of,POOL)", "process").replace("$(ARGS)", "").split("python ", 1)[1]
    assert started.split("python ", 1)[1].split() == made.split()
