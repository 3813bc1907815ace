import os
import stat
import subprocess
import sys
from fnmatch import fnmatch
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
from tests.project import ROOT


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


def test_two_writers_of_one_file_do_not_share_what_they_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first", "the last one to end"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_file_may_be_read_by_all_whatever_wrote_it(tmp_path: Path) -> None:
    for mode, given in ((0o644, {}), (0o640, {"mode": 0o640})):
        with replacing(tmp_path / "file", **given) as temporary:
            temporary.touch(0o600)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


KILLED = """
import os, pathlib, sys
from digits.common.files import replacing, scratch_folder
with scratch_folder(pathlib.Path("folder")) as folder, replacing(pathlib.Path("file[1]")) as temporary:
    temporary.with_name("other").write_text("half of it")
    os.replace(temporary.with_name("other"), temporary) # as libraries do
    (folder / "something").touch()
    print("at work", flush=True)
    sys.stdin.read(1)
    os._exit(1)
"""


def use_both(folder: Path) -> None:
    with scratch_folder(folder / "folder"), replacing(folder / "file[1]") as temporary:
        temporary.write_text("whole")


def test_what_a_writer_left_goes_when_it_is_dead_and_no_sooner(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe, env=environment) as writer:
        assert writer.stdout
        assert writer.stdin
        assert writer.stdout.readline() == b"at work\n"
        left = set(tmp_path.iterdir())
        assert len(left) == 2
        assert all(fnmatch(path.name, ".*.part") for path in left), "as .gitignore has it"
        use_both(tmp_path)
        assert set(tmp_path.iterdir()) == left | {tmp_path / "file[1]"}, "it is at work"
        writer.stdin.write(b"x")
        writer.stdin.flush()
        writer.wait()
    use_both(tmp_path)
    assert set(tmp_path.iterdir()) == {tmp_path / "file[1]"}


def test_a_mistake_within_the_block_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), scratch_folder(tmp_path / "scratch") as folder:
        (folder / "nothing").read_bytes()


def test_a_scratch_folder_is_empty_and_nobody_elses_and_gone_afterwards(tmp_path: Path) -> None:
    left = tmp_path / ".scratch.part"
    left.mkdir()
    (left / "left by a killed process").touch()
    with scratch_folder(tmp_path / "scratch") as first, scratch_folder(tmp_path / "scratch") as second:
        assert not left.exists()
        assert first != second
        assert list(first.iterdir()) == list(second.iterdir()) == []
        (first / "something").touch()
    assert list(tmp_path.iterdir()) == []


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


def test_each_folder_is_walked_once_whatever_links_lead_to_it(tmp_path: Path) -> None:
    """Two links to their own folder would make 2 ** 40 paths, until the system takes no longer ones."""
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    for name in ("folder/b/one", "folder/b/c/two", "outside/three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for place in (folder, folder / "b/c", outside):
        (place / "again").symlink_to(".")
        (place / "and again").symlink_to(folder)
    (folder / "a").symlink_to("b")  # before it, and yet its files are found by their own names
    (folder / "d").symlink_to(outside)
    (folder / "e").symlink_to(outside)
    (folder / "z").symlink_to("b/one")
    found = [path.relative_to(folder).as_posix() for path in files_below(folder)]
    assert found == ["b/c/two", "b/one", "d/three", "z"]


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
