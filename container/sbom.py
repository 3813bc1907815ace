"""What the image and the page carry, as a bill of materials in CycloneDX's JSON: `make sbom`.

In the image: `docker run --rm digits python /app/container/sbom.py`. The packages are those of the lock that
are installed. Exits with 1 and a line for each whose version is another than the lock has.
"""

import json
import sys
import uuid
from contextlib import suppress
from importlib import metadata
from typing import Any

import licenses
import locks
import output

OTHERS = [(name.partition(",")[0], spdx) for name, spdx in licenses.OTHERS.items()]
PROJECT = OTHERS[0][0]


def installed() -> dict[str, str]:
    """The versions of what is carried, builds (+cpu) aside."""
    found = {}
    for name in licenses.carried():
        with suppress(metadata.PackageNotFoundError):  # of another system
            found[name] = metadata.version(name).partition("+")[0]
    return found


def bill(lock: locks.Locked, versions: dict[str, str]) -> dict[str, Any]:
    """The same environment gives the same bill."""
    said = licenses.carried()
    parts = [_package(name, version, said[name], lock[name]) for name, version in versions.items()]
    parts += [
        _part(name, "data" if spdx.startswith("CC-BY") else "library", spdx) for name, spdx in OTHERS[1:]
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(parts))}",
        "version": 1,
        "metadata": {"component": _part(PROJECT, "application", OTHERS[0][1])},
        "components": parts,
        "dependencies": [{"ref": PROJECT, "dependsOn": sorted(part["bom-ref"] for part in parts)}],
    }


def _package(name: str, version: str, spdx: str, lock: dict[str, list[str]]) -> dict[str, Any]:
    # Of each file that the lock allows: which of them was installed depends on the machine.
    hashes = [{"name": "lock: sha256", "value": digest} for digest in lock.get(version, [])]
    purl = f"pkg:pypi/{name}@{version}"
    return {**_part(name, "library", spdx), "version": version, "purl": purl, "properties": hashes}


def _part(name: str, kind: str, spdx: str) -> dict[str, Any]:
    one = "LicenseRef" not in spdx and " " not in spdx
    said = {"license": {"id": spdx}} if one else {"expression": spdx}
    return {"bom-ref": name, "type": kind, "name": name, "licenses": [said]}


def main() -> int:
    try:
        lock, versions = locks.read(licenses.LOCK), installed()
        output.say(json.dumps(bill(lock, versions), indent=2))
    except (locks.LockError, output.OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    wrong = [name for name, version in versions.items() if version not in lock[name]]
    for name in wrong:
        print(
            f"error: {name} {versions[name]} is installed, the lock has {' or '.join(lock[name])}",
            file=sys.stderr,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
