"""What Prefect's environment should be where the user has not said otherwise."""

import os
import tomllib
from pathlib import Path

DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # The first start on an empty Prefect home creates the database, and 20 seconds are not always enough.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
}


def set_defaults() -> None:
    """Fill in `DEFAULTS`; what the environment or the active Prefect profile says stays."""
    chosen = _profile()
    for name, value in DEFAULTS.items():
        if name not in chosen:
            os.environ.setdefault(name, value)


def server_is_configured() -> bool:
    """Whether the user has said anything about which server to use, or about Prefect in this folder."""
    folder = Path.cwd()
    names = {"PREFECT_API_URL", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "PREFECT_SERVER_EPHEMERAL_ENABLED"}
    return (
        any(name in os.environ or name in _profile() for name in names)
        or (folder / "prefect.toml").exists()
        or any(
            word in (folder / name).read_text(encoding="utf-8", errors="replace")
            for name, word in ((".env", "PREFECT_"), ("pyproject.toml", "[tool.prefect"))
            if (folder / name).exists()
        )
    )


def _profile() -> dict[str, str]:
    # Prefect lets the environment win over the profile, so a default of ours must not hide a profile's entry.
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml"))
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
        name = os.environ.get("PREFECT_PROFILE", profiles.get("active", ""))
        return dict(profiles["profiles"][name])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
