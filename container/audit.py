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
from packaging.version import InvalidVersion, Version
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
    except (ValueError, KeyError, TypeError):
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
    try:
        entries = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError:
        raise
    except Exception as error:  # of a scalar whatever its type says
        raise AuditError(f"{path} is no YAML: {_line(error)}") from error
    if not isinstance(entries, list | None):
        raise AuditError(f"{path} is no list of what is accepted")
    for entry in entries or []:
        if not _is_accepting(entry):
            raise AuditError(
                f"{path}: each entry has id, package, why, a reason, and until, a date; not {entry!r:.300}"
            )
    return list(entries or [])


def _is_accepting(entry: Any) -> bool:
    if not isinstance(entry, dict) or set(entry) != {"id", "package", "why", "until"}:
        return False
    words = (entry[key] for key in ("id", "package", "why"))
    # A time is a date, too, but cannot be compared with one.
    return (
        all(isinstance(word, str) and word.strip() for word in words)
        and type(entry["until"]) is datetime.date
    )


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def read_advisories(folder: Path, packages: list[Package]) -> dict[str, list[Any]]:
    """Those of packages, by name, from a folder of OSV files such as PyPA's advisory database.

    Raises:
        AuditError: one of them cannot be read, or what it says be compared: it may be about what is locked.
    """
    known: dict[str, list[Any]] = {}
    for name, version in packages:
        name = canonicalize_name(name)
        try:
            at = Version(version)
        except InvalidVersion as error:
            raise AuditError(f"{name}: {version} is no version that can be compared") from error
        files = sorted((folder / "vulns" / name).glob("*.yaml"))
        for file in files:
            try:
                content = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
                if not isinstance(content["id"], str) or not isinstance(content.get("aliases", []), list):
                    raise ValueError("it has no id, or aliases that are no list")
                _affects(content, name, at)
                json.dumps(content, default=_time)
            except OSError:
                raise
            except Exception as error:  # whatever is not as in an advisory
                raise AuditError(f"{file} is no advisory that can be read: {_line(error)}") from error
            known.setdefault(name, [])
            if content not in known[name]:
                known[name].append(content)
    return known


@contextmanager
def served(advisories: dict[str, list[Any]]) -> Iterator[str]:
    """An address that answers from advisories as OSV does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = canonicalize_name(query["package"]["name"]), Version(query["version"])
            vulns = [each for each in advisories.get(name, []) if _affects(each, name, version)]
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


def _affects(advisory: Any, name: str, version: Version) -> bool:
    for affected in advisory.get("affected", []):
        ranges = [r["events"] for r in affected.get("ranges", []) if r["type"] == "ECOSYSTEM"]
        if canonicalize_name(affected["package"]["name"]) == name and (
            str(version) in affected.get("versions", []) or any(_within(r, version) for r in ranges)
        ):
            return True
    return False


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
            accepted = read_accepted(chosen.accepted)
            if not chosen.files:
                raise AuditError(f"there is no lock file in {ROOT}")
            packages = locked(chosen.files)
            options = ["--vulnerability-service", chosen.service]
            if chosen.advisories:
                if not (chosen.advisories / "vulns").is_dir():
                    raise AuditError(f"{chosen.advisories} has no advisories: there is no vulns in it")
                address = stack.enter_context(served(read_advisories(chosen.advisories, packages)))
                options = ["--vulnerability-service", "osv", "--osv-url", address]
            known, left_out = found(packages, options)
    except (AuditError, locks.LockError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror or error}", file=sys.stderr)
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
