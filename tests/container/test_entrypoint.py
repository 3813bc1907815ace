"""The image's entry point, run in a folder in place of a volume, with a folder in place of an image."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import ROOT

FILES = {
    "dvc.yaml": "stages: {}\n",
    "dvc.lock": "of the image\n",
    "params.yaml": "epochs: 5\n",
    "versions.yaml": "torch: 1\n",
    "prefect.yaml": "name: digits\n",
    "digits/solvers/sgd.py": "sgd\n",
    "digits/old.py": "old\n",
    "recipes/fast.yaml": "fast\n",
    ".dvcignore": "*~\n",
    ".dvc/config": "no_scm = true\n",
}
NEW = {name: text for name, text in FILES.items() if name != "digits/old.py"} | {
    "params.yaml": "epochs: 5\nmore: 1\n",
    "versions.yaml": "torch: 2\n",
    "digits/solvers/sgd.py": "newer sgd\n",
    "digits/new.py": "new\n",
}


def image(folder: Path, files: dict[str, str]) -> Path:
    """What a Dockerfile puts into /app."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    sums = "".join(
        f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(files.items())
    )
    (folder / ".dvc/image.sums").write_text(sums)
    (folder / ".dvc/image").write_text(hashlib.sha256(sums.encode()).hexdigest())
    return folder


def start(app: Path, workspace: Path, path: str = os.environ["PATH"]) -> str:
    """Start a container of this image; what it says on its way to its command."""
    workspace.mkdir(exist_ok=True)
    command = ["sh", str(ROOT / "container/entrypoint.sh"), "echo", "at work"]
    environment = {**os.environ, "APP": str(app), "PATH": path}
    done = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "at work\n"
    return done.stderr


def content(workspace: Path) -> dict[str, str]:
    found = (p for p in workspace.rglob("*") if p.is_file() and p.name != "pipeline.lock")
    return {p.relative_to(workspace).as_posix(): p.read_text() for p in found if "image" not in p.name}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return image(tmp_path / "old", FILES)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return image(tmp_path / "new", NEW)


@pytest.fixture
def workspace(tmp_path: Path, old: Path) -> Path:
    """A volume that the old image has filled."""
    start(old, tmp_path / "workspace")
    return tmp_path / "workspace"


def test_an_empty_workspace_is_filled_once(workspace: Path, old: Path) -> None:
    assert content(workspace) == FILES
    (workspace / "digits/old.py").unlink()
    assert start(old, workspace) == ""
    assert not (workspace / "digits/old.py").exists(), "the same image leaves it alone"


def test_a_newer_image_renews_what_nobody_changed(workspace: Path, new: Path) -> None:
    assert start(new, workspace) == ""
    assert content(workspace) == NEW


def test_changed_parameters_stay_and_those_of_the_image_are_beside_them(workspace: Path, new: Path) -> None:
    (workspace / "params.yaml").write_text("epochs: 7\n")
    assert start(new, workspace) == (
        "params.yaml has been changed here and stays; that of the image is params.yaml.new\n"
    )
    assert content(workspace) == NEW | {"params.yaml": "epochs: 7\n", "params.yaml.new": NEW["params.yaml"]}
    assert start(new, workspace) == "", "it is said once"


def test_what_the_user_added_stays(workspace: Path, new: Path) -> None:
    added = {"digits/solvers/lion.py": "lion", "recipes/own.yaml": "own", "teachers/cnn.safetensors": "cnn"}
    added |= {"models/model.onnx": "model", ".dvc/config.local": "remote"}
    for name, text in added.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    (workspace / "dvc.lock").write_text("of the runs here\n")
    assert start(new, workspace) == ""
    assert content(workspace) == NEW | added | {"dvc.lock": "of the runs here\n"}


def test_versions_are_those_of_the_image_in_any_case(workspace: Path, new: Path) -> None:
    (workspace / "versions.yaml").write_text("torch: 9\n")
    start(new, workspace)
    assert content(workspace)["versions.yaml"] == NEW["versions.yaml"]


def test_a_remote_that_was_added_stays(workspace: Path, new: Path) -> None:
    own = "no_scm = true\nremote = s3://bucket\n"
    (workspace / ".dvc/config").write_text(own)
    assert start(new, workspace) == (
        ".dvc/config has been changed here and stays; that of the image is .dvc/config.new\n"
    )
    assert content(workspace) == NEW | {".dvc/config": own, ".dvc/config.new": NEW[".dvc/config"]}


def test_a_volume_of_an_image_without_a_list_keeps_its_parameters(workspace: Path, new: Path) -> None:
    (workspace / ".dvc/image.sums").unlink()
    own = {"params.yaml": "epochs: 7\n", "recipes/own.yaml": "own\n", "teachers/cnn.safetensors": "cnn"}
    own["dvc.lock"] = "of the runs here\n"
    older = {"dvc.yaml": "of old code\n", "prefect.yaml": "old\n", "digits/solvers/lion.py": "lion"}
    for name, text in (own | older).items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    assert start(new, workspace) == (
        "code of an older image, with all that was changed or added in it, is in .dvc/tmp/older-image.1 now\n"
        "params.yaml has been changed here and stays; that of the image is params.yaml.new\n"
    )
    found = content(workspace)
    before = {name: found.pop(name) for name in list(found) if name.startswith(".dvc/tmp/")}
    assert before.pop(".dvc/tmp/older-image.1/digits/solvers/lion.py") == "lion"
    assert before.pop(".dvc/tmp/older-image.1/prefect.yaml") == "old\n"
    assert found == NEW | own | {"params.yaml.new": NEW["params.yaml"]}


def test_code_of_older_images_is_put_where_nothing_is(workspace: Path, new: Path) -> None:
    for text in ("first", "second"):
        (workspace / "digits/solvers/lion.py").write_text(text)
        (workspace / ".dvc/image").write_text("of an image without a list")
        (workspace / ".dvc/image.sums").unlink()
        start(new, workspace)
    kept = [workspace / f".dvc/tmp/older-image.{number}/digits/solvers/lion.py" for number in (1, 2)]
    assert [path.read_text() for path in kept] == ["first", "second"]


def test_a_checkout_that_is_mounted_stays_as_it_is(tmp_path: Path, new: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "dvc.yaml").write_text("stages: {}\n")
    assert start(new, checkout) == ""
    assert content(checkout) == {"dvc.yaml": "stages: {}\n"}


def test_an_interrupted_start_is_finished_by_the_next(workspace: Path, new: Path, tmp_path: Path) -> None:
    half = image(tmp_path / "half", NEW | {"digits/new.py": "not to be read"})
    shutil.rmtree(half / "digits")
    with pytest.raises(subprocess.CalledProcessError):
        start(half, workspace)
    start(new, workspace)
    assert content(workspace) == NEW


STOPS = 'head -c 3 "$1" >"$2"; exit 1\n'  # in the middle of a file, as a container that is killed


@pytest.mark.parametrize("count", range(len(NEW) + 2))
@pytest.mark.parametrize("volume", ["empty", "of an older image"])
def test_a_start_that_ends_within_any_file_is_begun_again(
    tmp_path: Path, workspace: Path, new: Path, count: int, volume: str
) -> None:
    if volume == "empty":
        workspace = tmp_path / "empty"
        workspace.mkdir()
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    calls = f'echo >>"{bin_}/calls"; [ "$(wc -l <"{bin_}/calls")" -le {count} ]'
    real = shutil.which("cp")
    (bin_ / "cp").write_text(f'#!/bin/sh\nif {calls}; then exec {real} "$@"; fi\n{STOPS}')
    (bin_ / "cp").chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError):
        start(new, workspace, path=f"{bin_}{os.pathsep}{os.environ['PATH']}")
    assert start(new, workspace) == "", "nothing that is half there counts as changed"
    assert content(workspace) == NEW


def test_another_image_may_come_after_an_interrupted_one(workspace: Path, new: Path, tmp_path: Path) -> None:
    half = image(tmp_path / "half", FILES | {"params.yaml": "epochs: 6\n"})
    (half / "recipes/fast.yaml").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        start(half, workspace)
    assert start(new, workspace) == ""
    assert content(workspace) == NEW
