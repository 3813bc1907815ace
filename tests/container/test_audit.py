"""A planted vulnerability is found by pip-audit, and only what is accepted today passes."""

import datetime
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.container.programs import FOLDER, load

LOCK = """good==1.0 \\
    --hash=sha256:00
planted[more]==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:00
planted==3.0 ; sys_platform != 'win32'
"""
ADVISORY = """id: PYSEC-2026-1
aliases: [CVE-2026-1]
details: It was planted.
published: 2026-10-01T00:00:00Z
affected:
- package: {name: planted, ecosystem: PyPI}
  ranges:
  - type: ECOSYSTEM
    events: [{introduced: "0"}, {fixed: "2.5"}]
"""
WITHDRAWN = ADVISORY.replace("PYSEC-2026-1", "PYSEC-2026-2") + "withdrawn: 2026-10-02T00:00:00Z\n"
TODAY = datetime.date(2026, 12, 1)
FOUND = "planted 2.0 has PYSEC-2026-1, mended in 2.5"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    return load("audit")


def run(folder: Path, *options: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    (folder / "requirements.lock").write_text(LOCK)
    (folder / "accepted.yaml").write_text("[]")
    command = [sys.executable, str(FOLDER / "audit.py"), str(folder / "requirements.lock"), *options]
    return subprocess.run(
        [*command, "--accepted", str(folder / "accepted.yaml")],
        env={"PYTHONPATH": str(path)} if path else None,
        capture_output=True,
        text=True,
    )


def test_a_planted_vulnerability_is_found(tmp_path: Path) -> None:
    pytest.importorskip("pip_audit", reason="what audits is not here: make release-tools")
    (tmp_path / "vulns/planted").mkdir(parents=True)
    for name, content in (("1", ADVISORY), ("2", WITHDRAWN)):
        (tmp_path / f"vulns/planted/{name}.yaml").write_text(content)
    done = run(tmp_path, "--advisories", str(tmp_path))
    assert (done.returncode, done.stderr) == (1, f"error: {FOUND}\n")
    assert done.stdout == "3 packages: 1 with known vulnerabilities, 0 not asked about\n"


@pytest.mark.parametrize(
    ("package", "until", "said"),
    [
        ("planted", TODAY, []),
        (
            "planted",
            datetime.date(2026, 11, 30),
            [f"{FOUND}; it was accepted until 2026-11-30: never called"],
        ),
        ("good", TODAY, [FOUND, "good has no CVE-2026-1 now: remove it"]),
    ],
)
def test_only_what_is_accepted_today_passes(
    audit: ModuleType, package: str, until: datetime.date, said: list[str]
) -> None:
    known = {("planted", "2.0"): [{"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.5"]}]}
    accepted = [{"id": "CVE-2026-1", "package": package, "why": "never called", "until": until}]
    assert list(audit.faults(known, accepted, TODAY)) == said


@pytest.mark.parametrize(
    "entry",
    [
        "{id: CVE-2026-1, package: a, why: b, until: soon}",
        "{id: CVE-2026-1, package: a, why: b, until: !!timestamp '2027-01-01T00:00:00Z'}",
        "{id: CVE-2026-1, package: a}",
        '{id: CVE-2026-1, package: a, why: "", until: 2027-01-01}',
        '{id: CVE-2026-1, package: a, why: " ", until: 2027-01-01}',
        "{id: CVE-2026-1, package: a, why: 5, until: 2027-01-01}",
        "{id: CVE-2026-1, package: [], why: b, until: 2027-01-01}",
        "1",
    ],
)
def test_what_is_accepted_has_a_reason_and_an_end(audit: ModuleType, tmp_path: Path, entry: str) -> None:
    assert isinstance(audit.read_accepted(audit.ACCEPTED), list)
    (tmp_path / "accepted.yaml").write_text(f"- {entry}\n")
    with pytest.raises(
        audit.AuditError, match="each entry has id, package, why, a reason, and until, a date"
    ):
        audit.read_accepted(tmp_path / "accepted.yaml")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"[", " is no YAML: "), (b"5", " is no list"), (b"\xff", " is no YAML: "), (b"{a: b}", " is no list")],
)
def test_what_is_no_list_of_what_is_accepted_is_a_line(
    audit: ModuleType, tmp_path: Path, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "accepted.yaml").write_bytes(content)
    words = [str(tmp_path / "requirements.lock"), "--accepted", str(tmp_path / "accepted.yaml")]
    assert audit.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/accepted.yaml{said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, ": No such file or directory"),
        (b"", " is no lock file: no line has NAME==VERSION"),
        (b"good==1.0\n\xff", " is no lock file: byte 10 is not UTF-8"),
    ],
)
def test_what_locks_nothing_does_not_pass(
    audit: ModuleType, tmp_path: Path, content: bytes | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, good = tmp_path / "b.lock", tmp_path / "a.lock"
    good.write_text(LOCK)
    if content is not None:
        lock.write_bytes(content)
    assert audit.main([str(good), str(lock)]) == 2
    assert capsys.readouterr().err == f"error: {lock}{said}\n"


def test_where_no_lock_is_nothing_passes(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    assert audit.main([]) == 2
    assert capsys.readouterr().err == f"error: there is no lock file in {tmp_path}\n"


@pytest.mark.parametrize(
    "content",
    [
        "[",
        "5",
        "id: PYSEC-2026-1\naffected: 5",
        "affected: []",
        ADVISORY.replace('"2.5"', '"1.x"'),
        ADVISORY.replace('"2.5"', "[1]"),
        ADVISORY.replace("[CVE-2026-1]", "5"),
        ADVISORY.replace("ranges:", "versions: 5\n  ranges:"),
        ADVISORY.replace("name: planted", "title: planted"),
        ADVISORY.replace("details: It", "details: !!binary It"),
    ],
)
def test_an_advisory_that_cannot_be_read_is_named(
    audit: ModuleType, tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vulns/planted").mkdir(parents=True)
    (tmp_path / "vulns/planted/1.yaml").write_text(content)
    (tmp_path / "requirements.lock").write_text(LOCK)
    assert audit.main([str(tmp_path / "requirements.lock"), "--advisories", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/vulns/planted/1.yaml is no advisory that can be read: ")


@pytest.mark.parametrize(
    ("events", "affected"),
    [
        ([{"introduced": "0"}], ["1.0", "2.0", "3.0", "9.0"]),
        ([{"introduced": "2.0"}, {"fixed": "3.0"}], ["2.0"]),
        ([{"introduced": "0"}, {"last_affected": "2.0"}], ["1.0", "2.0"]),
        ([{"introduced": "0"}, {"fixed": "1.1"}, {"introduced": "3.0"}], ["1.0", "3.0", "9.0"]),
    ],
)
def test_which_versions_a_range_holds(
    audit: ModuleType, events: list[dict[str, str]], affected: list[str]
) -> None:
    tried = ["1.0", "2.0", "3.0", "9.0"]
    assert [v for v in tried if audit._within(events, audit.Version(v))] == affected


def test_a_package_that_nobody_answers_about_does_not_pass(tmp_path: Path) -> None:
    """pip-audit itself ends with 0 where an index does not tell."""
    (tmp_path / "pip_audit.py").write_text(
        'print(\'{"dependencies": [{"name": "good", "skip_reason": "not found"}]}\')'
    )
    done = run(tmp_path, path=tmp_path)
    assert done.returncode == 2
    assert "error: good could not be asked about: not found\n" in done.stderr
    (tmp_path / "pip_audit.py").write_text("raise SystemExit('no route to host')")
    done = run(tmp_path, path=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: pip-audit gave no answer: no route to host\n")
    done = run(tmp_path, "--advisories", str(tmp_path))
    assert done.stderr == f"error: {tmp_path} has no advisories: there is no vulns in it\n"
