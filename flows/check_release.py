"""Is this release what was published? `python -m flows.check_release FOLDER`, from the folder alone.

Every file is compared with its hash, and what the release says of itself with its dvc.lock. What does not
hold is a line that names the file and, as far as that can be known, the byte; then the exit code is 1.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from digits.common.files import sha256
from digits.common.yaml_text import parse
from flows import rebuild, signing
from flows.provenance import (
    BILL,
    BLOCK,
    LOCK,
    PARAMETERS,
    PROVENANCE,
    SUMS,
    Lock,
    blocks,
    parameters,
    versions,
)
from flows.signing import SIGNATURE
from prefect_dvc.cache import md5
from prefect_dvc.project import ProjectError

UNSIGNED = "not asked: by whom (--public-key, or PUBLIC_KEY=… with make)"
METRICS, PARITY = "metrics.json", "parity.json"

LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9_.-]*)")
NAME = re.compile(r"[0-9a-f]{12}")  # of a release's folder
Hashes = dict[str, str]


def faults(folder: Path) -> list[str]:
    """A line for each thing that is not as it was published; none if all is."""
    if not (folder / SUMS).is_file():
        return [f"{folder} is no release: there is no {SUMS} in it"]
    hashes, found = _listed(folder)
    found += _of_folder(folder, hashes)
    found += _of_files(folder, hashes)
    # What the files say of each other is of interest where they are whole.
    return found or _of_content(folder, hashes)


def _listed(folder: Path) -> tuple[Hashes, list[str]]:
    """The hashes in SHA256SUMS, by file."""
    hashes, wrong = {}, []
    for number, line in enumerate(_text(folder / SUMS).splitlines(), 1):
        if match := LINE.fullmatch(line):
            hashes[match[2]] = match[1]
        else:
            wrong.append(f"{SUMS}: line {number} is not a SHA-256 and the name of a file")
    return hashes, wrong


def _of_folder(folder: Path, hashes: Hashes) -> Iterator[str]:
    here = {path.name for path in folder.iterdir()}
    yield from (f"{name} is missing" for name in sorted(hashes.keys() - here))
    yield from (f"{name} is not of this release" for name in sorted(here - hashes.keys() - {SUMS, SIGNATURE}))
    yield from (f"{SUMS} does not list {name}" for name in (LOCK, PROVENANCE, BILL) if name not in hashes)
    name = folder.resolve().name
    if NAME.fullmatch(name) and not sha256(folder / SUMS).startswith(name):
        yield f"{SUMS} is not that of release {name}: its own SHA-256 does not begin so"


def _of_files(folder: Path, hashes: Hashes) -> Iterator[str]:
    described = _subjects(_json(folder / PROVENANCE))
    for name, digest in hashes.items():
        path = folder / name
        if not path.exists():
            continue  # told already
        if not path.is_file() or path.is_symlink():
            yield f"{name} is not a file"
            continue
        content = path.read_bytes()
        actual = hashlib.sha256(content).hexdigest()
        if actual == digest:
            continue
        subject = described.get(name, {})
        if subject.get("digest", {}).get("sha256") == actual:
            yield f"{SUMS}: the hash of {name} was changed; the file is the one that {PROVENANCE} names"
        else:
            yield f"{name} was changed{_where(content, subject.get('annotations', {}))}"


def _subjects(statement: Any) -> dict[str, Any]:
    subjects = statement.get("subject") if isinstance(statement, dict) else None
    return {s["name"]: s for s in subjects or [] if isinstance(s, dict) and isinstance(s.get("name"), str)}


def _where(content: bytes, annotations: Mapping[str, Any]) -> str:
    """Where a file differs from the one whose blocks are known."""
    before, size = annotations.get("blocks"), annotations.get("bytes")
    if not isinstance(before, list) or not isinstance(size, int) or annotations.get("blockSize") != BLOCK:
        return ""
    now = blocks(content)
    changed = [i for i in range(max(len(before), len(now))) if before[i : i + 1] != now[i : i + 1]]
    if not changed:
        return ""
    first = changed[0] * BLOCK
    if len(content) != size:
        return f": it has {len(content):,} bytes and had {size:,}, and differs at or after byte {first:,}"
    if len(changed) == 1 and (byte := _byte(content[first : first + BLOCK], before[changed[0]])):
        place, was = byte
        return f": byte {first + place:,} is 0x{content[first + place]:02x} and was 0x{was:02x}"
    last = min((changed[-1] + 1) * BLOCK, size) - 1
    return f" between bytes {first:,} and {last:,}"


def _byte(block: bytes, digest: str) -> tuple[int, int] | None:
    """The place and the value of the one byte that gives the block its hash again; seconds of search."""
    head = hashlib.sha256()
    for place in range(len(block)):
        tail = block[place + 1 :]
        for was in range(256):
            tried = head.copy()
            tried.update(bytes([was]) + tail)
            if tried.hexdigest() == digest:
                return place, was
        head.update(block[place : place + 1])
    return None


def _of_content(folder: Path, hashes: Hashes) -> list[str]:
    """What the files say of each other."""
    try:
        lock = parse(_text(folder / LOCK))["stages"]
        said = {name: _json(folder / name) for name in (PARAMETERS, PROVENANCE, BILL)}
        return [
            *_of_lock(folder, hashes, lock),
            *_of_statement(said, hashes, lock),
            *_of_bill(said[BILL], hashes, lock),
        ]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        line = f"the files of {folder} are not those of a release: {type(error).__name__}: {error}"
        return line.splitlines()[:1]


def _of_lock(folder: Path, hashes: Hashes, lock: Lock) -> Iterator[str]:
    made = {Path(out["path"]).name: out["md5"] for stage in lock.values() for out in stage.get("outs", [])}
    for name in sorted(hashes.keys() & made.keys()):
        if md5(folder / name) != made[name]:
            yield f"{name} is not the file that {LOCK} names"
    metrics, parity = _json(folder / METRICS), _json(folder / PARITY)
    if parity["passed"] is not True or parity["accuracy_runtime"] != metrics["accuracy"]:
        yield f"{PARITY} does not prove this model"


def _of_statement(said: Mapping[str, Any], hashes: Hashes, lock: Lock) -> Iterator[str]:
    for name, subject in _subjects(said[PROVENANCE]).items():
        if subject["digest"]["sha256"] != hashes.get(name):
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


def _of_bill(bill: Mapping[str, Any], hashes: Hashes, lock: Lock) -> Iterator[str]:
    model = bill["metadata"]["component"]
    if model["hashes"][0]["content"] not in hashes.values():
        yield f"{BILL}: the model is none of this release"
    packages = {part["name"]: part["version"] for part in bill["components"] if part["type"] == "library"}
    if packages != versions(lock, lock):
        yield f"{BILL}: the versions of packages are not as {LOCK} has them"


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (OSError, ValueError, RecursionError):  # whoever asks says what is missing
        return {}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


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
    for fault in found:
        print(f"error: {fault}", file=sys.stderr)
    if not found:
        print(f"{chosen.folder}: every file is the one that was published")
        print(f"signed by the owner of {chosen.public_key}" if chosen.public_key else UNSIGNED)
        if chosen.rebuild:
            print("rebuilt: every output has the same bytes")
    return 1 if found else 0


def _of_rebuilding(folder: Path) -> list[str]:
    lock = parse(_text(folder / LOCK))["stages"]
    try:
        return rebuild.faults(_json(folder / PROVENANCE), lock, Path.cwd(), print)
    except ProjectError as error:
        return [str(error)]


def _of_signature(folder: Path, public_key: Path) -> list[str]:
    try:
        found = signing.fault(folder, public_key)
    except ProjectError as error:
        found = str(error)
    return [found] if found else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
