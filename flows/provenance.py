"""Where a release comes from: an in-toto statement with SLSA's provenance, made from dvc.lock alone.

It says what made it (data, code, parameters, versions of packages), and nothing about when and where:
a stage may have been restored from another machine's run, and the same files are the same release.
https://in-toto.io/Statement/v1, https://slsa.dev/spec/v1.0/provenance
"""

import hashlib
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#dvclock-file"
BUILDER = "https://dvc.org"
CHECK = "parameters"  # this stage depends on all values, also on those that nobody used
FETCH = "download"  # the outputs of this stage come from outside
VERSIONS = "versions.yaml"
# Files of a release.
LOCK = "dvc.lock"
CARD = "README.md"
PARAMETERS = "parameters.json"
BILL = "bom.cdx.json"
PROVENANCE = "provenance.json"
SUMS = "SHA256SUMS"
BLOCK = 4096
"""Bytes; each file's hashes go by these as well, so that a change can be told where it is."""

Lock = Mapping[str, Mapping[str, Any]]
"""The entries of the stages in dvc.lock."""


def statement(
    lock: Lock, released: Iterable[str], files: Iterable[Path], commit: str | None
) -> dict[str, Any]:
    """The statement about these files.

    Args:
        lock: all stages.
        released: the outputs that the release has copies of, as paths in the workspace.
        files: of the release; the subjects.
        commit: of the code, if there is one.
    """
    made_by = {out["path"]: name for name, stage in lock.items() for out in stage.get("outs", [])}
    stages = _before({made_by[path] for path in released}, lock, made_by)
    used = {dep["path"]: dep for name in stages for dep in lock[name].get("deps", [])}
    made = {out["path"]: out for name in stages for out in lock[name].get("outs", [])}
    code = [_resource(used[path], "code") for path in sorted(used.keys() - made_by.keys())]
    data = [_resource(made[path], "data") for path in sorted(made) if made_by[path] == FETCH]
    between = sorted(path for path in made if made_by[path] != FETCH and path not in set(released))
    source = [{"name": "repository", "digest": {"gitCommit": commit}}] if commit else []
    return {
        "_type": STATEMENT,
        "subject": [_subject(path) for path in files],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters(lock, stages),
                "internalParameters": {
                    "commands": {name: lock[name].get("cmd", "") for name in stages},
                    "packages": versions(lock, stages),
                },
                "resolvedDependencies": [*source, *code, *data],
            },
            "runDetails": {
                "builder": {"id": BUILDER},
                "byproducts": [_resource(made[path], "between") for path in between],
            },
        },
    }


def code_paths(lock: Lock) -> list[str]:
    """What stages depend on and no stage makes."""
    made = {out["path"] for stage in lock.values() for out in stage.get("outs", [])}
    return sorted({dep["path"] for stage in lock.values() for dep in stage.get("deps", [])} - made)


def parameters(lock: Lock, stages: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The values of params.yaml that each of the stages depends on."""
    return {name: of_file(lock[name], "params.yaml") for name in stages if name != CHECK}


def versions(lock: Lock, stages: Iterable[str]) -> dict[str, str]:
    """The versions of the packages that decided about the results of these stages."""
    return {k: v for name in stages if name != CHECK for k, v in of_file(lock[name], VERSIONS).items()}


def of_file(stage: Mapping[str, Any], file: str) -> dict[str, Any]:
    """What a stage's entry in dvc.lock says of its values in this file."""
    values: dict[str, Any] = stage.get("params", {}).get(file, {})
    return values


def commit_of(root: Path, paths: list[str]) -> str | None:
    """The newest commit that changed any of this code; None where it is changed since, or without Git.

    Not that of the whole checkout: a change of anything else makes no other release.
    """
    git = ["git", "-C", str(root)]
    try:
        changed = _said([*git, "status", "--porcelain", "--", *paths])
        found = _said([*git, "log", "-1", "--format=%H", "--", *paths])
    except (OSError, subprocess.SubprocessError):
        return None
    return found if found and not changed else None


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def _before(names: set[str], lock: Lock, made_by: Mapping[str, str]) -> list[str]:
    """These stages and all whose outputs they use, in the order of dvc.lock."""
    found, waiting = set(names), list(names)
    while waiting:
        for dep in lock[waiting.pop()].get("deps", []):
            name = made_by.get(dep["path"])
            if name and name not in found:
                found.add(name)
                waiting.append(name)
    return [name for name in lock if name in found]


def _resource(entry: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A resource descriptor. DVC's hash of a folder is that of its list, and has a name of its own."""
    md5 = str(entry["md5"])
    digest = {"dvcFolder": md5.removesuffix(".dir")} if md5.endswith(".dir") else {"md5": md5}
    return {"name": entry["path"], "digest": digest, "annotations": {"kind": kind}}


def _subject(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "name": path.name,
        "digest": {"sha256": hashlib.sha256(content).hexdigest()},
        "annotations": {"bytes": len(content), "blockSize": BLOCK, "blocks": blocks(content)},
    }


def blocks(content: bytes) -> list[str]:
    """The SHA-256 of each block."""
    return [
        hashlib.sha256(content[start : start + BLOCK]).hexdigest() for start in range(0, len(content), BLOCK)
    ]
