"""What is said when the disk is full: which file it was, in a line, by all that stages write with."""

import gzip
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from digits.common.about import About
from digits.common.files import copy_folder, replacing, scratch_folder, sha256
from digits.data import raw
from digits.data.datasets import file_names
from digits.data.download import RawFile, download
from digits.data.sections import Normalize
from stages import normalize
from tests.disk import full_after
from tests.project import ROOT
from tests.small import write_idx

CONTENT = bytes(range(256)) * 40


def test_a_file_is_named_by_its_own_path(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    with (
        pytest.raises(OSError, match="File too large") as caught,
        full_after(64),
        replacing(path) as temporary,
    ):
        temporary.write_bytes(CONTENT)
    assert caught.value.filename == str(tmp_path / "metrics.json")


def test_a_folder_whose_files_cannot_be_copied_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for name in ("one", "two"):
        (tmp_path / "source" / name).write_bytes(CONTENT)
    page = tmp_path / "page"
    with (
        pytest.raises(OSError, match="File too large") as caught,
        full_after(64),
        scratch_folder(page) as scratch,
    ):
        copy_folder(tmp_path / "source", scratch / "page")
    assert caught.value.filename == str(tmp_path / "page")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("limit", [64, len(CONTENT) // 2], ids=["packed", "unpacked"])
def test_a_full_disk_is_no_fault_of_a_mirror(tmp_path: Path, limit: int) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "images.gz").write_bytes(gzip.compress(CONTENT))
    file, said = RawFile("images", len(CONTENT), hashlib.sha256(CONTENT).hexdigest()), list[str]()
    with pytest.raises(OSError, match="File too large") as caught, full_after(limit):
        download([f"file://{mirror}"] * 2, tmp_path / "raw", files=[file], log=said.append)
    assert caught.value.filename == str(tmp_path / "raw")
    assert said == []  # the second mirror was not asked


def test_normalized_images_are_named_where_safetensors_cannot_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", ".")
    files, images = dict[str, str](), np.full((20, 28, 28), 51, np.uint8)
    images[::2] = 0
    for prefix in (raw.TRAIN, raw.TEST):
        for name, array in zip(file_names(prefix), (images, np.arange(20, dtype=np.uint8) % 10), strict=True):
            Path("data/raw").mkdir(parents=True, exist_ok=True)
            write_idx(Path("data/raw") / name, array)
            files[name] = sha256(Path("data/raw") / name)
    raw.write_about(Path("data/raw"), About.unnamed().model_copy(update={"sha256": files}))
    values = Normalize(mean="auto", std="auto", validation_size=0, validation_seed=1)
    with pytest.raises(OSError, match="File too large") as caught, full_after(32_000):
        normalize.main(values)
    assert caught.value.filename == "data/normalized/train.safetensors"
