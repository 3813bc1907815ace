"""The release: models/release/, what a pipeline that passed all gates hands over, whole or not at all.

`models/release` is a link to a folder of `models/releases/` that never changes, and is moved in one step.
Whoever resolves it once (`cd -P models/release`) reads one release, even while the next one is published.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from flows.artifacts import METRICS, PARITY, read_json
from flows.model_card import model_card
from flows.workspace import ModelArtifact, WorkspaceError

PICTURES = (Path("reports/confusion_matrix.png"), Path("reports/mistakes.png"))
RELEASE = Path("models/release")
RELEASES = Path("models/releases")
KEPT = 3  # the newest ones, for readers that are still at it


@dataclass(frozen=True)
class Release:
    """What was published, and the accuracy of the release before, if there was one."""

    name: str
    accuracy: float
    accuracy_before: float | None
    is_new: bool


def publish(root: Path, model: ModelArtifact, log: Callable[[str], None]) -> Release:
    """Publish the model and its reports as `dvc.lock` records them; the same files are the same release.

    Raises:
        WorkspaceError: they are not what `dvc.lock` says, or the proof of parity does not hold.
    """
    lock = YAML(typ="safe").load((root / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    scratch = root / RELEASES / f".{os.getpid()}.part"
    _remove_unfinished(root)
    scratch.mkdir(parents=True)
    try:
        for path in (model.path, METRICS, PARITY, *PICTURES):
            _copy(root / path, scratch / path.name, _recorded(lock, path))
        metrics, parity = read_json(scratch / METRICS.name), read_json(scratch / PARITY.name)
        if parity.get("passed") is not True or parity.get("accuracy_runtime") != metrics.get("accuracy"):
            raise WorkspaceError(f"{PARITY} does not prove this model; nothing is published")
        parameters = {name: stage.get("params", {}).get("params.yaml", {}) for name, stage in lock.items()}
        (scratch / "parameters.json").write_text(json.dumps(parameters, indent=2) + "\n")
        shutil.copy(root / "dvc.lock", scratch)
        hashes = {path.name: _digest(path, "sha256") for path in sorted(scratch.iterdir())}
        (scratch / "README.md").write_text(model_card(model, metrics, parity, parameters, hashes))
        hashes["README.md"] = _digest(scratch / "README.md", "sha256")
        (scratch / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in hashes.items()))
        name = _digest(scratch / "SHA256SUMS", "sha256")[:12]
        before = read_json(root / RELEASE / METRICS.name).get("accuracy")
        is_new = not (root / RELEASE).exists() or os.readlink(root / RELEASE) != f"{RELEASES.name}/{name}"
        if is_new:
            _put(root, scratch, name)
        log(f"release {name}: {'published' if is_new else 'is the one published already'}")
        return Release(name, metrics["accuracy"], before, is_new)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _put(root: Path, scratch: Path, name: str) -> None:
    folder = root / RELEASES / name
    if folder.exists():  # published before: it is whole
        os.utime(folder)
    else:
        os.replace(scratch, folder)
    link = root / RELEASES / f".{name}.part"
    link.symlink_to(f"{RELEASES.name}/{name}")
    os.replace(link, root / RELEASE)
    others = [path for path in (root / RELEASES).glob("[!.]*") if path.name != name]
    for old in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(old)


def _remove_unfinished(root: Path) -> None:
    """What a killed process left; whoever calls this is alone in the workspace."""
    for path in (root / RELEASES).glob(".*.part"):
        path.unlink() if path.is_symlink() else shutil.rmtree(path)


def _copy(source: Path, target: Path, md5: str) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise WorkspaceError(f"{source}: {error.strerror}; nothing is published") from error
    if _digest(target, "md5") != md5:
        raise WorkspaceError(f"{source} is not the file that dvc.lock names; nothing is published")


def _recorded(lock: dict[str, Any], path: Path) -> str:
    """The MD5 that dvc.lock records of an output."""
    for stage in lock.values():
        for out in stage.get("outs", []):
            if out["path"] == str(path):
                return str(out["md5"])
    raise WorkspaceError(f"no stage has made {path}; nothing is published")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
