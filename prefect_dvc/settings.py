"""What the user has said of the Prefect server; how the server is to work stands in prefect.toml."""

import os
import tomllib
from pathlib import Path
from typing import Any


def server_is_configured() -> bool:
    """Whether the user has said anything about which server to use, or whether to use one at all."""
    names = {"PREFECT_API_URL", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "PREFECT_SERVER_EPHEMERAL_ENABLED"}
    folder = Path.cwd()
    files = [
        _toml(folder / "prefect.toml"),
        _toml(folder / "pyproject.toml").get("tool", {}).get("prefect", {}),
    ]
    return (
        any(name in os.environ or name in _profile() for name in names)
        or any("api" in said or "enabled" in said.get("server", {}).get("ephemeral", {}) for said in files)
        or "PREFECT_" in _text(folder / ".env")
    )


def _profile() -> dict[str, Any]:
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    content = _toml(Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml")))
    name = os.environ.get("PREFECT_PROFILE", content.get("active", ""))
    found: dict[str, Any] = content.get("profiles", {}).get(name, {})
    return found


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except ValueError:  # Prefect will say so
        return {}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
