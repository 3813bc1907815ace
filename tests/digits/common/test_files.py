import subprocess
import sys
from pathlib import Path

import pytest

from digits.common.files import (
    code_files,
    code_sha256,
    copy_folder,
    files_below,
    replacing,
    scratch_folder,
    sha256,
)


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with replacing(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("two, but not whole")
            raise RuntimeError("out of ideas")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "one"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_scratch_folder_starts_empty_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "scratch"
    path.mkdir()
    (path / "left by a killed process").touch()
    with scratch_folder(path):
        assert list(path.iterdir()) == []
        (path / "something").touch()
    assert not path.exists()


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # the example of FIPS 180-4
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def littered(tmp_path: Path) -> Path:
    """A folder with two files, and with what an editor and a file manager have left in it."""
    folder = tmp_path / "littered"
    (folder / "below").mkdir(parents=True)
    (folder / "one.py").write_text("1")
    (folder / "below/two.html").write_text("2")
    for name in (".DS_Store", "below/.two.html.swp", "one.py~", "below/._two.html", "Thumbs.db"):
        (folder / name).write_text("left behind")
    (folder / ".#one.py").symlink_to("somebody@nowhere.1234:5678")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints/one.py").write_text("left behind")
    return folder


def test_what_editors_and_file_managers_leave_is_not_walked(littered: Path) -> None:
    found = [path.relative_to(littered).as_posix() for path in files_below(littered)]
    assert found == ["below/two.html", "one.py"]


def test_what_editors_and_file_managers_leave_is_not_copied(littered: Path, tmp_path: Path) -> None:
    copy_folder(littered, tmp_path / "copy")
    found = sorted(path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*"))
    assert found == ["below", "below/two.html", "one.py"]


def test_the_hash_of_code_knows_names_and_contents_alone(littered: Path, tmp_path: Path) -> None:
    copy_folder(littered, tmp_path / "copy")
    before = code_sha256(code_files(littered), littered)
    assert before == code_sha256(code_files(tmp_path / "copy"), tmp_path / "copy")
    (littered / "one.py").write_text("other")
    assert code_sha256(code_files(littered), littered) != before


def test_two_writers_of_one_file_do_not_share_their_halves(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one", "the block that ended last"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


KILLED = """
import os, signal, sys
from pathlib import Path
from digits.common.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "file[1]"
    command = [sys.executable, "-c", KILLED, str(path)]
    assert subprocess.run(command, cwd=Path(__file__).parents[3]).returncode == -9
    (left,) = tmp_path.iterdir()
    with replacing(path) as one:
        one.write_text("one")
        assert not left.exists()
        with replacing(path) as other:
            other.write_text("other")
            assert one.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["file[1]"]
