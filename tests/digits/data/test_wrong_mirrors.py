"""After an address, a folder or a server that is no mirror comes the next one."""

from pathlib import Path

import pytest

from digits.data.download import download
from tests.digits.data.conftest import StartServer
from tests.digits.data.mirror import FILES, PACKED, Server, assert_complete

WRONG_ADDRESSES = {
    "http://127.0.0.1/döner/": "UnicodeEncodeError",
    "http://127.0.0.1/a\tb/": "control characters",
    "http://127.0.0.1/a b/": "control characters",
    "http://127.0.0.1:many/": "nonnumeric port",
    "http://[::1/": "Invalid IPv6",
    "http://" + "a" * 70 + ".invalid/": "label",
    "http:///": "no host given",
    "unknown://127.0.0.1/": "unknown url type",
}


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
