"""Downloads from real HTTP servers and folders on this machine."""

import gzip
import hashlib
import os
import shutil
import socket
from pathlib import Path

import pytest

from digits.data import download as download_module
from digits.data import mirrors
from digits.data.download import DownloadError, download
from digits.sets.mnist import Mnist
from tests.digits.data.conftest import StartServer
from tests.digits.data.mirror import CONTENT, FILES, PACKED, Server, assert_complete


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


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
