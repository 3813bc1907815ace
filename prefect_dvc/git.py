"""Git, by its own command line."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path


class GitError(Exception):
    """Git refused; `str` is one line for the user."""


def git(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What `git` says in this folder, without the last line's end; it asks nobody for a password.

    Raises:
        GitError: it failed, or there is none.
    """
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", **(environment or {})},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise GitError(f"git cannot be run: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise GitError(f"git {arguments[0]}: {said[-1]}")
    return done.stdout.rstrip("\n")


def without_password(address: str) -> str:
    """The address of a repository, to be shown: a name and a password in it are left out."""
    return re.sub(r"^(https?://)[^/]*@", r"\1", address)


def commit(folder: Path) -> str | None:
    """The commit that is checked out; None without Git, or before the first."""
    try:
        return git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    except GitError:
        return None
