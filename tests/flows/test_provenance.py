"""Who made a release, of what and how, is said in forms that others read."""

import hashlib
import json
from pathlib import Path

import pytest

from flows import check_release, provenance, rebuild
from tests.project import git

HASHES = {"MD5": "md5", "SHA-256": "sha256"}


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
    assert hashes == {kind: hashlib.new(name, b"images").hexdigest() for kind, name in HASHES.items()}
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
