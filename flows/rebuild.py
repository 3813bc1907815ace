"""Made once more: the stages behind a release, run from its code and its values in a folder of their own.

Nothing is taken from DVC's cache. Files that came over the network are taken from here if they are; their
stage compares them with the published SHA-256.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from digits.common.yaml_text import parse, yaml
from flows.provenance import LOCK, Lock
from flows.workspace import path_of_stages
from prefect_dvc.project import ProjectError

COMMIT = re.compile("[0-9a-f]{40,64}")
FETCHED = Path(".dvc/tmp/fetched")
ALONE = "[core]\n    no_scm = true\n    analytics = false\n[cache]\n    dir = cache\n"
ELSEWHERE = "another kind of CPU, or a GPU, rounds differently"


def faults(statement: Mapping[str, Any], lock: Lock, root: Path, tell: Callable[[str], None]) -> list[str]:
    """Run the stages that the statement names; a line for each output that is not as dvc.lock says.

    Args:
        statement: of the release.
        lock: the stages of the release's dvc.lock.
        root: a checkout of the project that the release is of.
        tell: takes each line of progress.

    Raises:
        ProjectError: the code is not in this checkout, or a stage fails.
    """
    build = statement["predicate"]["buildDefinition"]
    stages = list(build["internalParameters"]["commands"])
    commits = [str(found["digest"].get("gitCommit", "")) for found in build["resolvedDependencies"]]
    commit = next(filter(COMMIT.fullmatch, commits), None)
    with tempfile.TemporaryDirectory(prefix="rebuild-") as name:
        folder = Path(name)
        _code(root, folder, commit)
        tell(f"the code is that of {commit or 'this checkout, as the release names no commit'}")
        _write_values(lock, folder / "params.yaml")
        (folder / LOCK).unlink(missing_ok=True)
        (folder / ".dvc/config.local").write_text(ALONE)
        if (root / FETCHED).is_dir():
            shutil.copytree(root / FETCHED, folder / FETCHED)
        _run(folder, stages, tell)
        made = parse((folder / LOCK).read_text(encoding="utf-8"))["stages"]
    return [line for stage in stages for line in _differences(stage, lock, made)]


def _code(root: Path, folder: Path, commit: str | None) -> None:
    """What Git has of the commit, else of the folder as it is."""
    try:
        if commit:
            _git(["clone", "--quiet", "--shared", "--no-checkout", "--", str(root.resolve()), str(folder)])
            _git(["-C", str(folder), "checkout", "--quiet", "--detach", commit])
            return
        listed = _git(["-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise ProjectError(f"{root} does not have the code of this release: {said[-1]}") from error
    except OSError as error:
        raise ProjectError(f"git: {error.strerror}; the code of a release comes from it") from error
    for path in filter(None, listed.decode().split("\0")):
        if (root / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, folder / path)


def _git(arguments: list[str]) -> bytes:
    return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout


def _write_values(lock: Lock, path: Path) -> None:
    """The params.yaml behind the stages, from what each recorded of it."""
    tree: dict[str, Any] = {}
    for stage in lock.values():
        for key, value in stage.get("params", {}).get(path.name, {}).items():
            *parents, last = key.split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
    with path.open("w", encoding="utf-8") as file:
        yaml("safe").dump(tree, file)


def _run(folder: Path, stages: list[str], tell: Callable[[str], None]) -> None:
    """Run stages and those before them, as `dvc repro` does."""
    command = [sys.executable, "-m", "dvc", "repro", "--no-commit", "--", *stages]
    said: list[str] = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path_of_stages()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as dvc:
        assert dvc.stdout
        for line in dvc.stdout:
            said = [*said[-4:], line.strip()]
            if line.startswith("Running stage"):
                tell(line.strip().rstrip(":"))
    if dvc.returncode:
        raise ProjectError(f"a stage of the release fails here: {' / '.join(filter(None, said))}")


def _differences(name: str, lock: Lock, now: Lock) -> Iterator[str]:
    """What a stage used and made now, against what the release says of it."""
    made = {out["path"] for stage in lock.values() for out in stage.get("outs", [])}
    for kind, said in (("deps", "other code"), ("outs", f"made with other bytes ({ELSEWHERE})")):
        old, new = ({e["path"]: e["md5"] for e in stages[name].get(kind, [])} for stages in (lock, now))
        paths = (old.keys() | new.keys()) - (made if kind == "deps" else set())
        for path in sorted(paths):
            if old.get(path) != new.get(path):
                yield f"{name}: {path} is {said}: {new.get(path)}, where {LOCK} has {old.get(path)}"
    if lock[name].get("params", {}) != now[name].get("params", {}):
        yield f"{name}: its values are other ones than in {LOCK}"
