from pathlib import Path

import pytest

from digits.common.files import replacing, scratch_folder, sha256


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
