"""Known vulnerabilities of the packages in the lock files: `make audit`.

pip-audit asks; container/accepted.yaml has what is accepted, why and until when. Exits with 1 and a line for
each that is not, and with 2 where any package could not be asked about, which pip-audit itself lets pass.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import locks
from packaging.utils import canonicalize_name
from packaging.version import Version
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
ACCEPTED = Path(__file__).with_name("accepted.yaml")
Package = tuple[str, str]


class AuditError(Exception):
    """Why nothing can be said."""


def locked(files: Iterable[Path]) -> list[Package]:
    """Names and versions in lock files."""
    found = (locks.read(file).items() for file in files)
    return sorted(
        {(name, version) for entries in found for name, versions in entries for version in versions}
    )


def found(packages: list[Package], options: list[str]) -> tuple[dict[Package, list[Any]], list[str]]:
    """The vulnerabilities of packages, as pip-audit describes them, and a line for each that it left out."""
    known: dict[Package, list[Any]] = {}
    left_out: list[str] = []
    while packages:
        names = {name: (name, version) for name, version in packages}  # a file has a name once
        packages = [package for package in packages if package not in names.values()]
        for said in _asked(names.values(), options):
            if "skip_reason" in said:
                left_out.append(f"{said['name']} could not be asked about: {said['skip_reason']}")
            elif said["vulns"]:
                known[said["name"], said["version"]] = said["vulns"]
    return known, left_out


def _asked(packages: Iterable[Package], options: list[str]) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text("".join(f"{name}=={version}\n" for name, version in packages))
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--requirement",
            str(file),
            "--no-deps",
            "--disable-pip",
        ]
        command += ["--format", "json", "--progress-spinner", "off", *options]
        done = subprocess.run(command, capture_output=True, text=True)
    try:
        dependencies: list[Any] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise AuditError(f"pip-audit gave no answer: {said[-1]}") from None
    return dependencies


def faults(known: dict[Package, list[Any]], accepted: list[Any], today: datetime.date) -> Iterator[str]:
    """A line for each vulnerability not accepted today, and for what is accepted and not there."""
    used = set()
    for (name, version), vulnerabilities in sorted(known.items()):
        for each in vulnerabilities:
            ids = {each["id"], *each["aliases"]}
            entry = next((e for e in accepted if e["id"] in ids and e["package"] == name), None)
            fixed = ", ".join(each["fix_versions"]) or "no version yet"
            what = f"{name} {version} has {each['id']}, mended in {fixed}"
            if entry is None:
                yield what
                continue
            used.add(entry["id"])
            if entry["until"] < today:
                yield f"{what}; it was accepted until {entry['until']}: {entry['why']}"
    yield from (f"{e['package']} has no {e['id']} now: remove it" for e in accepted if e["id"] not in used)


def read_accepted(path: Path) -> list[Any]:
    """What is accepted: a list of `id`, `package`, `why` and `until`, a date."""
    entries = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or []
    for entry in entries:
        if set(entry) != {"id", "package", "why", "until"} or not isinstance(entry["until"], datetime.date):
            raise AuditError(f"{path}: each entry has id, package, why and until, a date; not {entry}")
    return list(entries)


@contextmanager
def served(advisories: Path) -> Iterator[str]:
    """An address that answers as OSV does, from a folder of OSV files such as PyPA's advisory database."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            vulns = list(_affecting(advisories, query["package"]["name"], query["version"]))
            body = json.dumps({"vulns": vulns} if vulns else {}, default=_time).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def _affecting(advisories: Path, name: str, version: str) -> Iterator[Any]:
    for file in sorted((advisories / "vulns" / canonicalize_name(name)).glob("*.yaml")):
        content = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        for affected in content.get("affected", []):
            ranges = [r["events"] for r in affected.get("ranges", []) if r["type"] == "ECOSYSTEM"]
            if canonicalize_name(affected["package"]["name"]) == name and (
                version in affected.get("versions", []) or any(_within(r, Version(version)) for r in ranges)
            ):
                yield content
                break


def _time(value: datetime.datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _within(events: list[dict[str, str]], version: Version) -> bool:
    """Whether the last event up to this version, by OSV's rules, leaves it affected."""
    affected = False
    for since, kind in sorted((Version(at), kind) for event in events for kind, at in event.items()):
        if kind == "introduced" and version >= since:
            affected = True
        elif (kind == "fixed" and version >= since) or (kind == "last_affected" and version > since):
            affected = False
    return affected


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=sorted(ROOT.glob("requirements*.lock")))
    parser.add_argument("--service", choices=["pypi", "osv"], default="pypi", help="who is asked")
    parser.add_argument("--advisories", type=Path, help="a clone of PyPA's advisory database to ask instead")
    parser.add_argument("--accepted", type=Path, default=ACCEPTED)
    chosen = parser.parse_args(arguments)
    try:
        with ExitStack() as stack:
            options = ["--vulnerability-service", chosen.service]
            if chosen.advisories:
                if not (chosen.advisories / "vulns").is_dir():
                    raise AuditError(f"{chosen.advisories} has no advisories: there is no vulns in it")
                address = stack.enter_context(served(chosen.advisories))
                options = ["--vulnerability-service", "osv", "--osv-url", address]
            packages = locked(chosen.files)
            known, left_out = found(packages, options)
        accepted = read_accepted(chosen.accepted)
    except (AuditError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    wrong = list(faults(known, accepted, datetime.date.today()))
    for line in [*left_out, *wrong]:
        print(f"error: {line}", file=sys.stderr)
    print(
        f"{len(packages)} packages: {len(known)} with known vulnerabilities, {len(left_out)} not asked about"
    )
    return 2 if left_out else 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
