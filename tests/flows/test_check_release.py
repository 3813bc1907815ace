"""What was changed in a release is found and named; who made it is said in forms that others read."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from digits.common.files import sha256
from flows import check_release, provenance, rebuild
from tests.flows import sealing
from tests.project import ROOT, git


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealing.publish(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    """Under the name that says which release it is."""
    return Path(shutil.copytree(published, tmp_path / published.name))


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert text.count(old) == 1, text
        (folder / name).write_text(text.replace(old, new))

    return change


def write(place: int, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / "model.onnx").open("r+b") as file:
            file.seek(place)
            file.write(content)

    return change


def linked(folder: Path) -> None:
    shutil.move(folder / "metrics.json", folder.parent)
    (folder / "metrics.json").symlink_to(folder.parent / "metrics.json")


KINDS = {"MD5": "md5", "SHA-256": "sha256"}
ONE = sealing.FILES["models/model.onnx"][5000]
FAULTS = {
    "a byte": (
        write(5000, bytes([ONE ^ 1])),
        f"model.onnx was changed: byte 5,000 is 0x{ONE ^ 1:02x} and was 0x{ONE:02x}",
    ),
    "bytes": (write(4090, b"\xff" * 9), "model.onnx was changed between bytes 0 and 8,191"),
    "the end": (
        lambda folder: (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:9000]),
        "model.onnx was changed: it has 9,000 bytes and had 20,000, and differs at or after byte 8,192",
    ),
    "a file": (lambda folder: (folder / "mistakes.png").unlink(), "mistakes.png is missing"),
    "one more": (lambda folder: (folder / "run.sh").touch(), "run.sh is not of this release"),
    "a link": (linked, "metrics.json is not a file"),
    "a hash": (
        replace("SHA256SUMS", "  metrics.json", "0  metrics.json"),
        "SHA256SUMS: line 5 is not a SHA-256 and the name of a file",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_was_changed_is_named(copied: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    change, said = FAULTS[what]
    change(copied)
    assert check_release.main([str(copied)]) == 1
    assert f"error: {said}" in capsys.readouterr().err


def test_a_release_that_nobody_touched_is_whole(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_release.main([str(copied)]) == 0
    assert "every file is the one that was published" in capsys.readouterr().out


def test_a_changed_hash_is_told_from_a_changed_file(copied: Path) -> None:
    digest = sha256(copied / "metrics.json")
    replace("SHA256SUMS", digest, digest[::-1])(copied)
    assert any(
        fault.startswith("SHA256SUMS: the hash of metrics.json was changed")
        for fault in check_release.faults(copied)
    )


@pytest.mark.parametrize(
    ("change", "statement", "said"),
    [
        (replace("metrics.json", "0.95", "0.99"), False, "provenance.json: the hash of metrics.json"),
        (replace("metrics.json", "0.95", "0.99"), True, "metrics.json is not the file that dvc.lock names"),
        (replace("parameters.json", "mlp", "cnn"), True, "the parameters of train are not as dvc.lock"),
        (replace("bom.cdx.json", '"2.14.1"', '"2.14.0"'), True, "bom.cdx.json: the versions of packages"),
        (
            replace("provenance.json", '"torch": "2.14.1"', '"torch": "2"'),
            False,
            "provenance.json: the versions",
        ),
        (replace("provenance.json", '"mlp"', '"cnn"'), False, "the parameters of train are not"),
        (
            replace("provenance.json", "0123456789abcdef0123456789abcdef", "0" * 32),
            False,
            "provenance.json: digits/common is not as dvc.lock has it",
        ),
        (replace("dvc.lock", '"stages"', '"others"'), True, "dvc.lock is not that of a release: KeyError"),
        (replace("dvc.lock", '"2.0"', "[" * 200), True, "dvc.lock is not that of a release: "),
    ],
)
def test_what_does_not_fit_together_is_told(
    copied: Path, tmp_path: Path, change: Callable[[Path], None], statement: bool, said: str
) -> None:
    """By somebody who gave all of it new hashes."""
    (tmp_path / "renamed").mkdir()
    folder = copied.rename(tmp_path / "renamed/release")
    change(folder)
    sealing.seal(folder, statement=statement)
    found = check_release.faults(folder)
    assert any(fault.startswith(said) for fault in found), found
    named = folder.rename(tmp_path / "renamed" / copied.name)
    assert f"SHA256SUMS is not that of release {copied.name}" in check_release.faults(named)[0]


def pipe(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def emptied(folder: Path) -> None:
    (folder / "dvc.lock").unlink()
    (folder / "dvc.lock").mkdir()


def device(folder: Path) -> None:
    (folder / "provenance.json").unlink()
    (folder / "provenance.json").symlink_to("/dev/zero")


def large(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, size)


def statement(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Another statement, and a file that is not as it was."""

    def write(folder: Path) -> None:
        content = json.loads((folder / "provenance.json").read_text())
        content = change(content) or content
        (folder / "provenance.json").write_text(json.dumps(content))
        replace("metrics.json", "0.95", "0.99")(folder)

    return write


def of_each(**values: object) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        for subject in content["subject"]:
            subject["annotations"] |= values

    return change


def without(*path: str | int, value: object = 5) -> Callable[[dict[str, Any]], object]:
    def change(content: Any) -> None:
        *parents, last = path
        for key in parents:
            content = content[key]
        content[last] = value

    return change


ENDLESS = {
    "a pipe for the statement": (pipe("provenance.json"), "provenance.json is not a file"),
    "a pipe for the list": (pipe("SHA256SUMS"), "SHA256SUMS is not a file; without it"),
    "a pipe for a file": (pipe("model.onnx"), "model.onnx is not a file"),
    "a device": (device, "provenance.json is not a file"),
    "a folder": (
        emptied,
        "dvc.lock is not a file",
    ),
    "a list without end": (large("SHA256SUMS", 2**40), "SHA256SUMS has 1,099,511,627,776 bytes"),
    "a file without end": (large("model.onnx", 2**40), "model.onnx has 1,099,511,627,776 bytes"),
    "a statement without end": (large("provenance.json", 2**29), "provenance.json was changed"),
}
MALFORMED = {
    "no subjects": (statement(lambda _: {"subject": 5}), "metrics.json was changed"),
    "no object": (statement(lambda _: [5]), "metrics.json was changed"),
    "no blocks": (statement(of_each(blocks=[])), "metrics.json was changed"),
    "odd blocks": (statement(of_each(blocks=[5])), "metrics.json was changed between bytes 0 and "),
    "an odd size": (statement(of_each(bytes=-1)), "metrics.json was changed"),
    "odd notes": (
        statement(lambda content: [s.update(annotations=[1]) for s in content["subject"]] and None),
        "metrics.json was changed",
    ),
    "odd hashes": (
        statement(lambda content: [s.update(digest=[1]) for s in content["subject"]] and None),
        "metrics.json was changed",
    ),
    "a second hash": (
        lambda folder: (folder / "SHA256SUMS").write_text((folder / "SHA256SUMS").read_text() * 2),
        "SHA256SUMS: line 12 has a second hash for bom.cdx.json",
    ),
    "a name that forges lines": (
        lambda folder: (folder / "a\nerror: b\x1b[31mX").touch(),
        r"a\nerror: b\x1b[31mX is not of this release",
    ),
    "a name that is no text": (
        lambda folder: Path(os.fsdecode(bytes(folder) + b"/\xff")).touch(),
        r"\udcff is not of this release",
    ),
}


def assert_told(said: str, lines: list[str]) -> None:
    assert all(line.startswith("error: ") and line.isprintable() for line in lines), lines
    assert any(line.startswith(f"error: {said}") for line in lines), lines


def test_what_has_no_end_is_not_read(published: Path, tmp_path: Path) -> None:
    """One process for all of them, in bounded time and memory."""
    folders = [Path(shutil.copytree(published, tmp_path / what)) for what in ENDLESS]
    for folder in folders:
        ENDLESS[folder.name][0](folder)
    code = "import sys; from flows.check_release import main; print([main([f]) for f in sys.argv[1:]])"
    command = ["prlimit", f"--as={4 * 2**30}", sys.executable, "-c", code, *map(str, folders)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{[1] * len(folders)}\n"
    for _, said in ENDLESS.values():
        assert_told(said, done.stderr.splitlines())


@pytest.mark.parametrize("what", MALFORMED)
def test_whatever_a_release_is_made_of_the_answer_is_lines(
    copied: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = MALFORMED[what]
    change(copied)
    assert check_release.main([str(copied)]) == 1
    assert_told(said, capsys.readouterr().err.splitlines())


@pytest.mark.parametrize("name", ["SHA256SUMS", "provenance.json", "metrics.json", "model.sig"])
def test_what_cannot_be_read_is_named(
    copied: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "model.sig").touch()
    unlocked = os.open

    def locked(path: Path, *arguments: Any, **options: Any) -> int:
        if Path(path).name == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return unlocked(path, *arguments, **options)

    monkeypatch.setattr(os, "open", locked)
    assert check_release.main([str(copied), "--public-key", "any"]) == 1
    assert f"error: {name} cannot be read: Permission denied" in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_named(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def locked(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    for name in ("iterdir", "is_dir"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, locked)
            assert check_release.main([str(copied)]) == 1
        assert capsys.readouterr().err == f"error: {copied} cannot be read: Permission denied\n"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("provenance.json", without("subject"), "provenance.json names no files"),
        ("provenance.json", without("predicate"), "the files of "),
        ("provenance.json", without("predicate", "runDetails"), "the files of "),
        ("bom.cdx.json", without("metadata", "component", "hashes", value=[]), "the files of "),
        ("bom.cdx.json", without("components"), "the files of "),
        ("parameters.json", without("train"), "the parameters of train are not as dvc.lock"),
    ],
)
def test_what_is_malformed_is_told_with_what_else_is_wrong(
    copied: Path, name: str, change: Callable[[Any], object], said: str
) -> None:
    """By somebody who gave all of it new hashes."""
    content = json.loads((copied / name).read_text())
    change(content)
    (copied / name).write_text(json.dumps(content))
    replace("metrics.json", "0.95", "0.99")(copied)
    listed = sorted(path.name for path in copied.iterdir() if path.name != "SHA256SUMS")
    (copied / "SHA256SUMS").write_text("".join(f"{sha256(copied / name)}  {name}\n" for name in listed))
    found = check_release.faults(copied.rename(copied.with_name("release")))
    assert any(line.startswith(said) for line in found), found
    assert "metrics.json is not the file that dvc.lock names" in found


def test_a_list_of_nothing_but_faults_is_cut(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "SHA256SUMS").write_text("x\n" * 5000)
    assert check_release.main([str(copied)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == check_release.MOST + 1
    assert lines[-1].startswith("error: and 4,9")


def test_no_release_is_told_in_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.check_release", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path} is no release: there is no SHA256SUMS in it\n"


def test_the_statement_says_what_made_the_release_and_nothing_else(published: Path) -> None:
    statement = json.loads((published / "provenance.json").read_text())
    build = statement["predicate"]["buildDefinition"]
    assert {subject["name"] for subject in statement["subject"]} == {
        path.name for path in published.iterdir()
    } - {"SHA256SUMS", "provenance.json"}
    kinds = {found["name"]: found["annotations"]["kind"] for found in build["resolvedDependencies"]}
    assert kinds == {"digits/common": "code", "digits/train.py": "code", "data/raw/images": "data"}
    between = [found["name"] for found in statement["predicate"]["runDetails"]["byproducts"]]
    assert between == ["models/model.safetensors"]
    assert build["externalParameters"]["train"] == {"train": {"model": "mlp"}}
    assert build["internalParameters"]["packages"] == {"torch": "2.14.1"}
    assert build["internalParameters"]["commands"].keys() == {"download", "train", "export", "evaluate"}


def test_others_read_the_statement_and_the_bill(published: Path) -> None:
    """in-toto's and SLSA's own definitions, and the schema of CycloneDX."""
    json_format = pytest.importorskip("google.protobuf.json_format")
    statement_pb2 = pytest.importorskip("in_toto_attestation.v1.statement_pb2", reason="make release-tools")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1.statement import Statement

    content = json.loads((published / "provenance.json").read_text())
    Statement.copy_from_pb(json_format.ParseDict(content, statement_pb2.Statement())).validate()
    json_format.ParseDict(content["predicate"], provenance_pb2.Provenance())
    schema = JsonStrictValidator(SchemaVersion.V1_6)
    bill = (published / "bom.cdx.json").read_text()
    assert schema.validate_str(bill) is None
    assert schema.validate_str(bill.replace('"library"', '"librarian"')) is not None


def test_the_bill_names_the_images_and_what_comes_out_for_their_classes(published: Path) -> None:
    bill = json.loads((published / "bom.cdx.json").read_text())
    (data,) = (part for part in bill["components"] if part["type"] == "data")
    assert (data["name"], data["licenses"]) == ("Fashion-MNIST", [{"license": {"id": "MIT"}}])
    hashes = {found["alg"]: found["content"] for found in data["components"][0]["hashes"]}
    assert hashes == {kind: hashlib.new(name, b"images").hexdigest() for kind, name in KINDS.items()}
    card = bill["metadata"]["component"]["modelCard"]["modelParameters"]
    outputs = {found["format"] for found in card["outputs"]}
    assert outputs == {"log_probabilities: float32 [batch, 3]", "familiarity: float32 [batch]"}


def test_the_commit_is_that_of_the_code_where_it_is_unchanged(tmp_path: Path) -> None:
    assert provenance.commit_of(tmp_path, ["code"]) is None
    git("init", "--quiet", folder=tmp_path)
    for name in ("code", "text"):
        (tmp_path / name).write_text("1")
        git("add", "--all", folder=tmp_path)
        git("commit", "--quiet", f"--message={name}", folder=tmp_path)
    assert provenance.commit_of(tmp_path, ["code"]) == git("rev-parse", "HEAD~1", folder=tmp_path)
    (tmp_path / "code").write_text("2")
    assert provenance.commit_of(tmp_path, ["code"]) is None


@pytest.mark.parametrize("commands", [5, [[]], ["\0"]])
def test_what_does_not_say_how_to_make_it_again_is_told(
    copied: Path, commands: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_code", lambda root, folder, commit: (folder / ".dvc").mkdir())
    path = copied / "provenance.json"
    content = json.loads(path.read_text())
    content["predicate"]["buildDefinition"]["internalParameters"]["commands"] = commands
    path.write_text(json.dumps(content))
    (line,) = check_release._of_rebuilding(copied)
    assert line.startswith("provenance.json and dvc.lock do not say how to make it again: ")
