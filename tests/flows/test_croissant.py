"""The description of the images, read by the library that others read it with."""

import errno
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from digits.common.about import About
from digits.common.files import sha256
from digits.data import raw
from digits.data.datasets import file_names
from tests.small import write_idx


@pytest.fixture
def croissant() -> ModuleType:
    """What is tested, with mlcroissant, which takes seconds to import."""
    pytest.importorskip("mlcroissant", reason="what describes data is not here: make release-tools")
    from flows import croissant

    return croissant


def write_images(folder: Path) -> dict[str, str]:
    """In data/raw; their hashes."""
    raw_folder = folder / "data/raw"
    raw_folder.mkdir(parents=True)
    for prefix, count in ((raw.TRAIN, 20), (raw.TEST, 10)):
        images, labels = (raw_folder / name for name in file_names(prefix))
        write_idx(images, np.zeros((count, 28, 28), np.uint8))
        write_idx(labels, np.arange(count, dtype=np.uint8) % 2)
    hashes = {path.name: sha256(path) for path in raw_folder.iterdir()}
    said = {"sha256": hashes, "classes": ["Löwe", "zebra"], "title": "animals", "license": "MIT"}
    raw.write_about(raw_folder, About.unnamed().model_copy(update=said))
    return hashes


# By mlcroissant itself.
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
def test_others_read_which_files_and_classes_there_are(
    croissant: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlcroissant

    monkeypatch.chdir(tmp_path)
    files = write_images(tmp_path)
    assert croissant.main() == 0
    found = mlcroissant.Dataset(jsonld="data/croissant.json").metadata
    assert (found.name, found.license) == ("animals", ["https://spdx.org/licenses/MIT.html"])
    assert {sha256(Path("data") / file.content_url): file.sha256 for file in found.distribution} == {
        digest: digest for digest in files.values()
    }
    records = mlcroissant.Dataset(jsonld="data/croissant.json").records("classes")
    assert [record["classes/name"] for record in records] == ["Löwe", "zebra"]


def test_without_images_or_what_they_are_it_is_a_line(
    croissant: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert croissant.main() == 1
    assert capsys.readouterr().err == "error: data/raw is not here; `dvc repro download` fetches it\n"
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/set.json").write_text("{")
    assert croissant.main() == 1
    assert capsys.readouterr().err.startswith("error: data/raw/set.json is no JSON: ")


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
def test_where_nothing_can_be_written_it_is_a_line(
    croissant: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path)

    def read_only(dir: Path, **_: object) -> str:
        raise OSError(errno.EROFS, "Read-only file system", f"{dir}/.name.part")

    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    assert croissant.main() == 1
    assert capsys.readouterr().err == "error: data/croissant.json: Read-only file system\n"
