"""What was changed in a release is found and named; who made it is said in forms that others read."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.common.files import sha256
from flows import check_release, provenance
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
        (replace("dvc.lock", '"stages"', '"others"'), True, "the files of "),
        (replace("dvc.lock", '"2.0"', "[" * 200), True, "the files of "),
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
