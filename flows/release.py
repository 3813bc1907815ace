"""The release: models/release/, what a pipeline that passed all gates hands over, whole or not at all.

`models/release` is a link to a folder of `models/releases/` that never changes, and is moved in one step.
Whoever resolves it once (`cd -P models/release`) reads one release, even while the next one is published.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from digits.common.files import replacing
from flows import outside, provenance, signing
from flows.artifacts import DATA, METRICS, PARITY, read_json
from flows.bom import bill
from flows.model_card import Reports, model_card
from flows.provenance import BILL, CARD, LOCK, PARAMETERS, PROVENANCE, SUMS
from flows.workspace import ModelArtifact
from prefect_dvc.project import ProjectError

PICTURES = (Path("reports/confusion_matrix.png"), Path("reports/mistakes.png"))
RELEASE = Path("models/release")
RELEASES = Path("models/releases")
BEST = RELEASES / ".best.json"  # outlives the releases that are removed
KEPT = 3  # the newest ones, for readers that are still at it


class Published(NamedTuple):
    """A release and its accuracy."""

    name: str
    accuracy: float


@dataclass(frozen=True)
class Release:
    """What was published, and the most accurate release before it, if there was one.

    Compared with the last one alone, a model that is a little worse every night would never be noticed.
    """

    name: str
    accuracy: float
    best_before: Published | None
    is_new: bool


def publish(root: Path, model: ModelArtifact, log: Callable[[str], None]) -> Release:
    """Publish the model and its reports as `dvc.lock` records them; the same files are the same release.

    Raises:
        ProjectError: they are not what `dvc.lock` says, the proof does not hold, or the disk is full.
    """
    try:
        return _publish(root, model, log)
    except OSError as error:
        place = error.filename or root / RELEASES
        raise ProjectError(f"{place}: {error.strerror or error}; nothing is published") from error


def is_published(root: Path, model: ModelArtifact) -> bool:
    """Whether `publish` would change nothing.

    Raises:
        ProjectError: as `publish`.
        OSError: likewise, of a disk.
    """
    with _made(root, model) as (files, _):
        return not (_key_for(root / RELEASES / files.name) or _is_new(root, files.name))


@contextmanager
def _made(root: Path, model: ModelArtifact) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder with the name and all files of a release, which goes if it is not moved away; its metrics."""
    if (root / RELEASE).exists() and not (root / RELEASE).is_symlink():
        raise ProjectError(f"{RELEASE} is not the link that a release makes; move it away, and run again")
    lock = YAML(typ="safe").load((root / LOCK).read_text(encoding="utf-8"))["stages"]
    scratch = root / RELEASES / f".{os.getpid()}.part"
    _remove_unfinished(root)
    scratch.mkdir(parents=True)
    try:
        (scratch / "files").mkdir()
        metrics = _fill(scratch / "files", root, model, lock)
        name = _digest(scratch / "files" / SUMS, "sha256")[:12]
        yield (scratch / "files").rename(scratch / name), metrics  # a signature names the folder, too
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_new(root: Path, name: str) -> bool:
    return not (root / RELEASE).exists() or os.readlink(root / RELEASE) != f"{RELEASES.name}/{name}"


def _publish(root: Path, model: ModelArtifact, log: Callable[[str], None]) -> Release:
    with _made(root, model) as (files, metrics):
        name = files.name
        _sign(root / RELEASES / name, files)
        before, is_new = _best(root), _is_new(root, name)
        if is_new:
            _put(root, files, name)
        found = Published(name, metrics["accuracy"])
        if before is None or found.accuracy > before.accuracy:
            with replacing(root / BEST) as temporary:
                temporary.write_text(json.dumps(found._asdict()) + "\n")
        if is_new:  # last: whatever has failed before, nothing is published
            os.replace(_link_to(root, name), root / RELEASE)
            _remove_old(root, name, log)
        log(f"release {name}: {'published' if is_new else 'is the one published already'}")
        return Release(name, found.accuracy, before, is_new)


def _fill(scratch: Path, root: Path, model: ModelArtifact, lock: dict[str, Any]) -> dict[str, Any]:
    """Write all of a release into a folder; return its metrics."""
    for path in (model.path, METRICS, PARITY, DATA, *PICTURES):
        _copy(root / path, scratch / path.name, _recorded(lock, path))
    metrics, parity = read_json(scratch / METRICS.name), read_json(scratch / PARITY.name)
    if parity.get("passed") is not True or parity.get("accuracy_runtime") != metrics.get("accuracy"):
        raise ProjectError(f"{PARITY} does not prove this model; nothing is published")
    parameters, versions = provenance.parameters(lock, lock), provenance.versions(lock, lock)
    _write(scratch / PARAMETERS, parameters)
    shutil.copy(root / LOCK, scratch)
    digest = _digest(scratch / model.path.name, "sha256")
    elsewhere = outside.measured(root, model.path, _recorded(lock, model.path))
    reports = Reports(metrics, parity, read_json(scratch / DATA.name), elsewhere)
    try:
        _write(scratch / BILL, bill(model, reports, lock, parameters, versions, digest))
        hashes = {path.name: _digest(path, "sha256") for path in sorted(scratch.iterdir())}
        (scratch / CARD).write_text(model_card(model, reports, parameters, versions, hashes))
    except KeyError as error:
        raise ProjectError(
            f"a release states {error}, which is neither in {METRICS} nor in {PARITY} or {DATA}; "
            "nothing is published"
        ) from error
    commit = provenance.commit_of(root, provenance.code_paths(lock))
    copied = [str(path) for path in (model.path, METRICS, PARITY, DATA, *PICTURES)]
    _write(scratch / PROVENANCE, provenance.statement(lock, copied, sorted(scratch.iterdir()), commit))
    for name in (CARD, PROVENANCE):
        hashes[name] = _digest(scratch / name, "sha256")
    (scratch / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in hashes.items()))
    return metrics


def _key_for(folder: Path) -> str | None:
    """The key that this release is still to be signed with, if any."""
    return None if (folder / signing.SIGNATURE).exists() else os.environ.get(signing.KEY)


def _sign(folder: Path, scratch: Path) -> None:
    """Sign a release where there is a key: in its folder if it is out already, else where it is made."""
    key = _key_for(folder)
    if not key:
        return
    try:
        signing.sign(folder if folder.exists() else scratch, Path(key))
    except ProjectError as error:
        raise ProjectError(f"{error}; nothing is published") from error


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def _best(root: Path) -> Published | None:
    """The most accurate release so far; of a folder without a note of it, the one published last."""
    noted = read_json(root / BEST)
    if isinstance(noted.get("accuracy"), float | int):
        return Published(str(noted.get("name")), float(noted["accuracy"]))
    accuracy = read_json(root / RELEASE / METRICS.name).get("accuracy")
    if accuracy is None:
        return None
    return Published(Path(os.readlink(root / RELEASE)).name, float(accuracy))


def _put(root: Path, scratch: Path, name: str) -> None:
    folder = root / RELEASES / name
    if folder.exists():  # published before: it is whole
        os.utime(folder)
    else:
        os.replace(scratch, folder)


def _link_to(root: Path, name: str) -> Path:
    link = root / RELEASES / f".{name}.part"
    try:
        link.symlink_to(f"{RELEASES.name}/{name}")
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        raise ProjectError(
            f"{RELEASE} would be a symbolic link, and the file system of {root} has none; "
            f"nothing is published, everything else is done: move the repository to a file system with links"
        ) from error
    return link


def _remove_old(root: Path, name: str, log: Callable[[str], None]) -> None:
    others = [path for path in (root / RELEASES).glob("[!.]*") if path.name != name]
    for old in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        try:
            shutil.rmtree(old)
        except OSError as error:  # the new one is out, and that is what counts
            log(f"an old release stays: {error.filename or old}: {error.strerror}")


def _remove_unfinished(root: Path) -> None:
    """What a killed process left; whoever calls this is alone in the workspace."""
    for path in (root / RELEASES).glob(".*.part"):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _copy(source: Path, target: Path, md5: str) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise ProjectError(f"{source}: {error.strerror}; nothing is published") from error
    if _digest(target, "md5") != md5:
        raise ProjectError(f"{source} is not the file that dvc.lock names; nothing is published")


def _recorded(lock: dict[str, Any], path: Path) -> str:
    """The MD5 that dvc.lock records of an output."""
    for stage in lock.values():
        for out in stage.get("outs", []):
            if out["path"] == str(path):
                return str(out["md5"])
    raise ProjectError(f"no stage has made {path}; nothing is published")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
