"""Git, by its own command line."""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

REMOTE = "origin"


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


def tree(folder: Path, base: str | None, *paths: str) -> str:
    """The tree of a commit with these paths as they are in the folder now, whatever is staged.

    Args:
        base: the commit; None for an empty one.
        paths: relative to `folder`; if none, all that Git does not ignore.

    Raises:
        GitError: Git refused.
    """
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": f"{scratch}/index"}
        git(folder, "read-tree", base or "--empty", environment=index)
        git(folder, "add", "--all", "--", *paths, environment=index)
        return git(folder, "write-tree", environment=index)


def commit(folder: Path) -> str | None:
    """The commit that is checked out; None without Git, or before the first."""
    try:
        return git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    except GitError:
        return None
