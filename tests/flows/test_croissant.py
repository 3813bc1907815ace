"""The description of the images, read by the library that others read it with."""

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


# By mlcroissant itself.
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
def test_others_read_which_files_and_classes_there_are(
    croissant: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlcroissant

    monkeypatch.chdir(tmp_path)
    for prefix, count in ((raw.TRAIN, 20), (raw.TEST, 10)):
        Path("data/raw").mkdir(parents=True, exist_ok=True)
        images, labels = (Path("data/raw") / name for name in file_names(prefix))
        write_idx(images, np.zeros((count, 28, 28), np.uint8))
        write_idx(labels, np.arange(count, dtype=np.uint8) % 2)
    files = {path.name: sha256(path) for path in Path("data/raw").iterdir()}
    said = {"sha256": files, "classes": ["Löwe", "zebra"], "title": "animals", "license": "MIT"}
    raw.write_about(Path("data/raw"), About.unnamed().model_copy(update=said))
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
