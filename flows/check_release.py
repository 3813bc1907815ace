"""Is this release what was published? `python -m flows.check_release FOLDER`, from the folder alone.

Every file is compared with its hash, and what the release says of itself with its dvc.lock. What does not
hold is a line that names the file and, as far as that can be known, the byte; then the exit code is 1.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from digits.common.text import LONGEST_MESSAGE, cut
from digits.common.yaml_text import parse
from flows import rebuild, signing
from flows.changed_bytes import where
from flows.provenance import (
    BILL,
    LOCK,
    PARAMETERS,
    PROVENANCE,
    SUMS,
    Lock,
    parameters,
    versions,
)
from flows.received import UnreadableError, content, opened, text
from flows.signing import SIGNATURE
from prefect_dvc.project import ProjectError

UNSIGNED = "not asked: by whom (--public-key, or PUBLIC_KEY=… with make)"
METRICS, PARITY = "metrics.json", "parity.json"

LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9_.-]*)")
NAME = re.compile(r"[0-9a-f]{12}")  # of a release's folder
Hashes = dict[str, str]
MOST = 100
"""Lines that are told."""
MOST_LISTED = 2**20
"""Bytes of the list of hashes."""
SEARCHES = 10
"""Bytes that are searched for, each for seconds."""
MALFORMED = (LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError)
"""What comes of a value that is not as a release has it."""


def faults(folder: Path) -> list[str]:
    """A line for each thing that is not as it was published; none if all is."""
    try:
        here = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        return [f"{folder} cannot be read: {error.strerror}"]
    if SUMS not in here:
        return [f"{folder} is no release: there is no {SUMS} in it"]
    try:
        listed = text(folder / SUMS, MOST_LISTED)
        own = _digest(folder / SUMS)
    except UnreadableError as error:
        return [f"{error}; without it, nothing is known of the other files"]
    hashes, found = _listed(listed)
    found += _of_folder(folder, here, hashes, own)
    found += _of_files(folder, here, hashes)
    # What the files say of each other is of interest where they are whole.
    return found or _of_content(folder, hashes)


def _listed(sums: str) -> tuple[Hashes, list[str]]:
    """The hashes in SHA256SUMS, by file."""
    hashes: Hashes = {}
    wrong = []
    for number, line in enumerate(sums.splitlines(), 1):
        match = LINE.fullmatch(line)
        if match and match[2] not in hashes:
            hashes[match[2]] = match[1]
        elif match:
            wrong.append(f"{SUMS}: line {number} has a second hash for {match[2]}")
        else:
            wrong.append(f"{SUMS}: line {number} is not a SHA-256 and the name of a file")
    return hashes, wrong


def _of_folder(folder: Path, here: set[str], hashes: Hashes, own: str) -> Iterator[str]:
    yield from (f"{name} is missing" for name in sorted(hashes.keys() - here))
    yield from (f"{name} is not of this release" for name in sorted(here - hashes.keys() - {SUMS, SIGNATURE}))
    yield from (f"{SUMS} does not list {name}" for name in (LOCK, PROVENANCE, BILL) if name not in hashes)
    name = folder.resolve().name
    if NAME.fullmatch(name) and not own.startswith(name):
        yield f"{SUMS} is not that of release {name}: its own SHA-256 does not begin so"


def _of_files(folder: Path, here: set[str], hashes: Hashes) -> Iterator[str]:
    try:
        described = _subjects(content(folder / PROVENANCE))
    except UnreadableError:  # which is told where its own hash is compared
        described = {}
    searches = iter(range(SEARCHES))
    for name in sorted(hashes.keys() & here):
        try:
            actual = _digest(folder / name)
            if actual == hashes[name]:
                continue
            subject = described.get(name, {})
            if _sha256_of(subject) == actual:
                yield f"{SUMS}: the hash of {name} was changed; the file is the one that {PROVENANCE} names"
                continue
            with opened(folder / name) as file:
                yield f"{name} was changed{where(file, subject.get('annotations'), searches)}"
        except UnreadableError as error:
            yield str(error)


def _digest(path: Path, algorithm: str = "sha256") -> str:
    with opened(path) as file:
        # MD5 is DVC's.
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _subjects(statement: Any) -> dict[str, Any]:
    subjects = statement.get("subject") if isinstance(statement, dict) else None
    known = subjects if isinstance(subjects, list) else []
    return {s["name"]: s for s in known if isinstance(s, dict) and isinstance(s.get("name"), str)}


def _sha256_of(subject: Mapping[str, Any]) -> Any:
    digest = subject.get("digest")
    return digest.get("sha256") if isinstance(digest, dict) else None


def _of_content(folder: Path, hashes: Hashes) -> list[str]:
    """What the files say of each other."""
    wrong: list[str] = []

    def read(name: str) -> Any:
        try:
            return parse(text(folder / name))["stages"] if name == LOCK else content(folder / name)
        except UnreadableError as error:
            wrong.append(str(error))
        except MALFORMED as error:
            wrong.append(f"{name} is not that of a release: {type(error).__name__}: {error}")

    said = {name: read(name) for name in (LOCK, PARAMETERS, PROVENANCE, BILL, METRICS, PARITY)}
    if wrong:
        return wrong
    for check in (_of_lock, _of_results, _of_statement, _of_bill):
        try:
            wrong += check(folder, said, hashes)  # what it says before it fails is kept
        except UnreadableError as error:
            wrong.append(str(error))
        except MALFORMED as error:
            wrong.append(f"the files of {folder} are not those of a release: {type(error).__name__}: {error}")
    return wrong


Said = Mapping[str, Any]
"""The contents of files, by their names."""


def _of_lock(folder: Path, said: Said, hashes: Hashes) -> Iterator[str]:
    made = {
        Path(out["path"]).name: out["md5"] for stage in said[LOCK].values() for out in stage.get("outs", [])
    }
    for name in sorted(hashes.keys() & made.keys()):
        if _digest(folder / name, "md5") != made[name]:
            yield f"{name} is not the file that {LOCK} names"


def _of_results(_: Path, said: Said, hashes: Hashes) -> Iterator[str]:
    metrics, parity = said[METRICS], said[PARITY]
    if parity["passed"] is not True or parity["accuracy_runtime"] != metrics["accuracy"]:
        yield f"{PARITY} does not prove this model"


def _of_statement(_: Path, said: Said, hashes: Hashes) -> Iterator[str]:
    lock: Lock = said[LOCK]
    if not _subjects(said[PROVENANCE]):
        yield f"{PROVENANCE} names no files"
    for name, subject in _subjects(said[PROVENANCE]).items():
        if _sha256_of(subject) != hashes.get(name):
            yield f"{PROVENANCE}: the hash of {name} is another than in {SUMS}"
    recorded = {
        entry["path"]: str(entry["md5"]).removesuffix(".dir")
        for stage in lock.values()
        for entry in [*stage.get("deps", []), *stage.get("outs", [])]
    }
    build = said[PROVENANCE]["predicate"]["buildDefinition"]
    between = said[PROVENANCE]["predicate"]["runDetails"]["byproducts"]
    for resource in [*build["resolvedDependencies"], *between]:
        if (
            "gitCommit" not in resource["digest"]
            and recorded.get(resource["name"]) not in resource["digest"].values()
        ):
            yield f"{PROVENANCE}: {resource['name']} is not as {LOCK} has it"
    all_values = parameters(lock, lock)
    for stage, values in [*build["externalParameters"].items(), *said[PARAMETERS].items()]:
        if values != all_values.get(stage):
            yield f"the parameters of {stage} are not as {LOCK} has them"
    if not build["internalParameters"]["packages"].items() <= versions(lock, lock).items():
        yield f"{PROVENANCE}: the versions of packages are not as {LOCK} has them"


def _of_bill(_: Path, said: Said, hashes: Hashes) -> Iterator[str]:
    bill: Mapping[str, Any] = said[BILL]
    lock: Lock = said[LOCK]
    model = bill["metadata"]["component"]
    if model["hashes"][0]["content"] not in hashes.values():
        yield f"{BILL}: the model is none of this release"
    packages = {part["name"]: part["version"] for part in bill["components"] if part["type"] == "library"}
    if packages != versions(lock, lock):
        yield f"{BILL}: the versions of packages are not as {LOCK} has them"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m flows.check_release", description=__doc__)
    parser.add_argument("folder", type=Path, help="of the release, such as models/release")
    parser.add_argument("--public-key", type=Path, help="whose signature it must have")
    parser.add_argument(
        "--rebuild", action="store_true", help="also run its stages again, in a scratch folder"
    )
    chosen = parser.parse_args(arguments)
    found = faults(chosen.folder)
    if not found and chosen.public_key:
        found = _of_signature(chosen.folder, chosen.public_key)
    if not found and chosen.rebuild:
        found = _of_rebuilding(chosen.folder)
    for fault in found[:MOST]:
        print(f"error: {cut(fault, LONGEST_MESSAGE)}", file=sys.stderr)
    if len(found) > MOST:
        print(f"error: and {len(found) - MOST:,} more", file=sys.stderr)
    if not found:
        print(f"{cut(str(chosen.folder))}: every file is the one that was published")
        print(f"signed by the owner of {chosen.public_key}" if chosen.public_key else UNSIGNED)
        if chosen.rebuild:
            print("rebuilt: every output has the same bytes")
    return 1 if found else 0


def _of_rebuilding(folder: Path) -> list[str]:
    try:
        lock = parse(text(folder / LOCK))["stages"]
        return rebuild.faults(content(folder / PROVENANCE), lock, Path.cwd(), print)
    except ProjectError as error:
        return [str(error)]
    except OSError as error:
        return [f"the release cannot be made again: {error.filename}: {error.strerror or error}"]
    except MALFORMED as error:
        return [f"{PROVENANCE} and {LOCK} do not say how to make it again: {type(error).__name__}: {error}"]


def _of_signature(folder: Path, public_key: Path) -> list[str]:
    try:
        found = signing.fault(folder, public_key)
    except ProjectError as error:
        found = str(error)
    return [found] if found else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
