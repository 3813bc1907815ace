"""A stage reads its own sections of params.yaml, and looks at nothing else in it."""

from pathlib import Path

import pytest

from digits.common.parameters_file import ParameterError
from digits.data.sections import Download, Normalize, WebRuntime

TEXT = """
download: {mirrors: ["file:///a"], attempts: 2, timeout: 20.0}
web_runtime: {mirrors: ["npm:a@1"], attempts: 1, timeout: 5.0}
normalize: {mean: 2.0, std: 0.3, validation_size: 0, validation_seed: 1, more: 1}
train: nonsense
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "params.yaml"
    file.write_text(TEXT)
    return file


def test_a_section_is_read_whatever_the_others_hold(path: Path) -> None:
    assert Download.read(path).attempts == 2
    assert WebRuntime.read(path).mirrors == ["npm:a@1"]


def test_mistakes_name_the_whole_key(path: Path) -> None:
    with pytest.raises(ParameterError) as caught:
        Normalize.read(path)
    assert str(caught.value).splitlines() == [
        f"{path}: normalize.mean is 2.0; allowed: less than or equal to 1",
        f"{path}: normalize.more is 1, but there is no such key; allowed here: mean, std, validation_seed, "
        "validation_size",
    ]


def test_a_missing_section_is_one_line(path: Path) -> None:
    path.write_text("train: {}\n")
    with pytest.raises(ParameterError, match=r"params\.yaml: download is missing$"):
        Download.read(path)
