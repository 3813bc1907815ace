"""Signatures of releases: by the stated key, checked by the tool that others have; no others pass."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import check_release, release, signing
from prefect_dvc.project import ProjectError
from tests.disk import full_after
from tests.flows import sealing
from tests.project import ROOT

pytest.importorskip("model_signing", reason="what signs is not here: make release-tools")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = tmp_path_factory.mktemp("keys") / "signing.key"
    assert signing.main(["--new", str(key)]) == 0
    return key


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(signing.KEY, str(key))
        return sealing.publish(root)


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "release"))


def test_what_is_published_is_signed_and_others_can_check_it(
    copied: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = key.with_suffix(".pub")
    assert check_release.main([str(copied), "--public-key", str(public)]) == 0
    assert "signed by the owner of" in capsys.readouterr().out
    command = [sys.executable, "-m", "model_signing", "verify", "key", "--public_key", str(public)]
    command += ["--signature", str(copied / "model.sig"), str(copied)]
    assert subprocess.run(command).returncode == 0
    assert not list((copied.parent).glob(".*"))


def forged(folder: Path) -> None:
    (folder / "mistakes.png").write_bytes(b"another")
    sealing.seal(folder, statement=True)
    lock = json.loads((folder / "dvc.lock").read_text())
    (out,) = (o for o in lock["stages"]["evaluate"]["outs"] if o["path"].endswith("mistakes.png"))
    out["md5"] = "b32d73e56ec99bc5ec8f83871cde708a"
    (folder / "dvc.lock").write_text(json.dumps(lock))
    sealing.seal(folder, statement=True)


def by_another(folder: Path) -> None:
    (folder / "model.sig").unlink()
    other = folder.parent / "other.key"
    signing.new_key(other)
    signing.sign(folder, other)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no signature": (lambda folder: (folder / "model.sig").unlink(), "is not signed"),
    "of other files": (
        forged,
        "model.sig is of other files: SHA256SUMS, dvc.lock, mistakes.png, provenance.json",
    ),
    "another key": (by_another, "model.sig is no signature of this release by "),
    "no JSON": (lambda folder: (folder / "model.sig").write_text("{"), "model.sig is no signature"),
    "nothing": (lambda folder: (folder / "model.sig").write_text(""), "model.sig is no signature"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_the_owner_of_the_key_did_not_sign_is_told(
    copied: Path, key: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = FAULTS[what]
    change(copied)
    assert check_release.faults(copied) == [], "whoever changed it left no other trace"
    assert check_release.main([str(copied), "--public-key", str(key.with_suffix(".pub"))]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_release_that_is_there_is_signed_later_by_hand_or_by_the_next_run(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sealing.publish(tmp_path)
    assert not (folder / "model.sig").exists()
    assert signing.main([str(folder), "--key", str(key)]) == 0
    assert signing.fault(folder, key.with_suffix(".pub")) is None
    (folder / "model.sig").unlink()
    monkeypatch.setenv(signing.KEY, str(key))
    assert not release.publish(tmp_path, sealing.MODEL, print).is_new
    assert signing.fault(folder, key.with_suffix(".pub")) is None


@pytest.mark.parametrize("content", [None, "no key"])
def test_what_should_be_signed_and_cannot_be_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    wrong = tmp_path / "wrong.key"
    if content:
        wrong.write_text(content)
    monkeypatch.setenv(signing.KEY, str(wrong))
    with pytest.raises(ProjectError, match=r"wrong\.key.*; nothing is published"):
        sealing.publish(tmp_path / "workspace")
    assert list((tmp_path / "workspace/models/releases").iterdir()) == []


def test_a_key_is_for_its_owner_alone_and_never_replaced(
    key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert signing.main(["--new", str(key)]) == 1
    assert capsys.readouterr().err == f"error: {key}: File exists; no key is made\n"
    assert key.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "there", "said"),
    [
        ("only.pub", [], "only.pub: a name that ends in .pub is for the public key; no key is made\n"),
        (
            "z.key",
            ["z.pub"],
            "z.pub: File exists, and earlier releases may be checked with it; no key is made\n",
        ),
        ("z.key", ["z.key"], "z.key: File exists; no key is made\n"),
        ("gone/z.key", [], "gone/z.key: No such file or directory; no key is made\n"),
        (".", [], ": Is a directory; no key is made\n"),
    ],
)
def test_no_key_is_made_in_the_place_of_another_file(
    tmp_path: Path, name: str, there: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in there:
        (tmp_path / each).write_text("of another")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert signing.main(["--new", name]) == 1
    (line,) = capsys.readouterr().err.splitlines(keepends=True)
    assert line.startswith("error: ")
    assert line.endswith(said)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(there, "of another")


@pytest.mark.parametrize("size", [0, 200])
def test_a_full_disk_leaves_no_half_of_a_key(
    tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_after(size):
        assert signing.main(["--new", str(tmp_path / "s.key")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/s.key: File too large; no key is made\n"
    assert list(tmp_path.iterdir()) == []
    assert signing.main(["--new", str(tmp_path / "s.key")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.key", "s.pub"]


def test_of_two_halves_that_cannot_both_be_placed_none_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if target.suffix == ".pub":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(KeyboardInterrupt):
        signing.new_key(tmp_path / "s.key")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_the_place_is_named(
    copied: Path, key: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_only(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(os, "replace", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    assert signing.main([str(copied), "--key", str(key)]) == 1
    assert capsys.readouterr().err == f"error: {copied}/model.sig: Read-only file system\n"


def test_without_the_tool_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_signing.py").write_text("raise ImportError('planted')")
    (tmp_path / "SHA256SUMS").touch()
    command = [sys.executable, "-m", "flows.signing", str(tmp_path), "--key", "any"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "error: model-signing is not here (planted): make release-tools\n",
    )
