import os
from pathlib import Path

import pytest

from flows.settings import DEFAULTS, set_defaults

TIMEOUT = "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*DEFAULTS, "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.setenv(name, "")  # so that what a test sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))


def test_defaults_are_filled_in() -> None:
    set_defaults()
    assert {name: os.environ[name] for name in DEFAULTS} == DEFAULTS


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, "7")
    set_defaults()
    assert os.environ[TIMEOUT] == "7"


def test_the_active_profile_wins(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(f'active = "mine"\n[profiles.mine]\n{TIMEOUT} = "7"\n')
    set_defaults()
    assert TIMEOUT not in os.environ
    assert "DO_NOT_TRACK" in os.environ
