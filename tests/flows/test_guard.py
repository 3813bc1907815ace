import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from prefect_dvc import guard

STUBBORN = "import signal, time\nfor n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)\n"


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, guard.__file__, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    with start(["sh", "-c", script]) as process:
        assert process.wait() == code


def test_the_end_of_its_input_stops_the_command() -> None:
    with start(["sh", "-c", "echo ready; sleep 100000"]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait() != 0


def test_sigterm_stops_the_command() -> None:
    with start(["sh", "-c", "echo $$; exec sleep 100000"]) as process:
        assert process.stdout is not None
        command = int(process.stdout.readline())
        process.terminate()
        assert process.wait() != 0
    assert not psutil.pid_exists(command)


def test_sigterm_stops_a_command_that_has_just_begun() -> None:
    """For as long as it takes to begin, time and again."""
    for _ in range(20):
        # Which ends its guard as soon as it can.
        with start(["sh", "-c", "echo $$; kill -TERM $PPID; exec sleep 100000"]) as process:
            assert process.stdout is not None
            command = int(process.stdout.readline())
            assert process.wait() != 0
        assert not psutil.pid_exists(command)


def test_a_process_that_ignores_signals_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guard, "GRACE_SECONDS", 0.2)
    script = f"{STUBBORN}open('ready', 'w').close()\ntime.sleep(100000)"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, start_new_session=True) as process:
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        guard.stop_group(process.pid)
        assert process.wait() == -9
