"""A stage runs with the versions that the results are to be of, and with no others."""

from importlib.metadata import version
from pathlib import Path

import pytest

from digits.common import versions
from digits.common.versions import VersionError, of_lock_files, require
from tests.project import ROOT


@pytest.fixture
def stated(tmp_path: Path) -> Path:
    path = tmp_path / "versions.yaml"
    here = {name: version(name) for name in ("numpy", "safetensors")}
    path.write_text(f"numpy: {here['numpy']}\nsafetensors: 0.0.1 or {here['safetensors']}\ntorch: '1.0'\n")
    return path


def test_the_stated_versions_pass(stated: Path) -> None:
    require(["numpy", "safetensors"], stated)
    require([], stated.with_name("none.yaml"))


def test_another_version_is_one_line_that_says_what_to_do(stated: Path) -> None:
    with pytest.raises(VersionError) as caught:
        require(["numpy", "torch"], stated)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"torch {version('torch')} is installed, but {stated} has 1.0: make setup")
    assert "make lock" in line


def test_a_package_that_is_not_here_is_told(stated: Path) -> None:
    with pytest.raises(VersionError, match=r"digits-of-nobody is not installed; .* has None: make setup"):
        require(["digits-of-nobody"], stated)


@pytest.mark.parametrize("found", ["2.14.1", "2.14.1+cpu", "2.14.1+cu130"])
def test_builds_of_one_version_are_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    (tmp_path / "versions.yaml").write_text('torch: "2.14.1"\n')
    monkeypatch.setattr(versions, "installed", lambda package: found)
    require(["torch"], tmp_path / "versions.yaml")


def test_the_committed_file_is_that_of_the_lock_files() -> None:
    files = [ROOT / f"requirements{part}.lock" for part in ("", "-runtimes")]
    assert of_lock_files(files) == (ROOT / "versions.yaml").read_text()


def test_where_python_decides_each_version_is_stated(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    pinned = [f"{name}==1.0" for name in versions.DECIDING if name != "numpy"]
    branches = ["numpy==2.4.6 ; python_full_version < '3.12'", "numpy==2.5.5 ; python_full_version >= '3.12'"]
    lock.write_text("\n".join([*pinned, *branches, "onnxruntime-gpu==1.0 ; sys_platform == 'linux'"]))
    stated = of_lock_files([lock])
    assert 'numpy: "2.4.6 or 2.5.5"\n' in stated
    assert 'onnxruntime: "1.0"\n' in stated
