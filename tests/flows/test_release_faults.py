"""What keeps a release from being published, and what of it stays as it was."""

import os
from pathlib import Path

import pytest

from flows import release
from flows.workspace import model_of
from prefect_dvc.project import ProjectError
from prefect_dvc.workspace import Workspace
from tests.disk import full_after
from tests.flows import releasing
from tests.flows.releasing import accuracy, publish, released, run_stages


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("models/model.onnx", "another model", "is not the file that dvc.lock names"),
        ("reports/parity.json", None, "No such file"),
    ],
)
def test_what_was_not_proved_is_not_published(
    releasable: Workspace, path: str, content: str | None, message: str
) -> None:
    first = publish(releasable)
    Path(path).unlink()
    if content:
        Path(path).write_text(content)
    with pytest.raises(ProjectError, match=message):
        publish(releasable)
    assert released() == [first.name]


def test_a_proof_that_failed_is_not_published(releasable: Workspace) -> None:
    Path("parity").write_text(releasing.PARITY.replace("true", "false"))
    Path("accuracy").write_text("0.96")
    run_stages(releasable)
    with pytest.raises(ProjectError, match="does not prove this model"):
        publish(releasable)
    assert not Path("models/release").exists()


def test_what_a_killed_process_left_is_removed(releasable: Workspace) -> None:
    Path("models/releases/.1.part").mkdir(parents=True)
    Path("models/releases/.abc.part").symlink_to("nowhere")
    found = publish(releasable)
    assert released() == [found.name]


def test_a_folder_in_place_of_the_link_is_told_in_a_line(releasable: Workspace) -> None:
    Path("models/release").mkdir()
    with pytest.raises(ProjectError, match="models/release is not the link that a release makes"):
        publish(releasable)
    assert list(Path("models/release").iterdir()) == []


def test_a_full_disk_is_told_in_a_line_and_the_release_before_stays(releasable: Workspace) -> None:
    first = publish(releasable)
    Path("accuracy").write_text("0.96")
    run_stages(releasable)
    model = model_of(releasable.project)
    assert model
    with pytest.raises(ProjectError, match="File too large; nothing is published"), full_after(64):
        release.publish(releasable.folder, model, print)
    assert released() == [first.name]
    assert accuracy(Path("models/release")) == 0.95


@pytest.mark.parametrize("key", ["loss", "class_flips", "trained_on"])
def test_a_report_that_lacks_a_figure_is_one_line(releasable: Workspace, key: str) -> None:
    for path in ("evaluate", "parity", "data"):
        Path(path).write_text(Path(path).read_text().replace(f'"{key}"', '"another"'))
    Path("accuracy").write_text("0.96")
    run_stages(releasable)
    with pytest.raises(ProjectError, match=f"a release states '{key}', which is neither in .*; nothing is"):
        publish(releasable)


def test_where_the_note_of_the_best_cannot_be_written_nothing_is_published(releasable: Workspace) -> None:
    first = publish(releasable)
    (releasable.folder / release.BEST).unlink()
    (releasable.folder / release.BEST).mkdir()
    Path("accuracy").write_text("0.96")
    run_stages(releasable)
    with pytest.raises(ProjectError, match="nothing is published"):
        publish(releasable)
    assert accuracy(Path("models/release")) == 0.95, "what is said is so"
    (releasable.folder / release.BEST).rmdir()
    second = publish(releasable)
    assert second.is_new
    assert second.best_before == release.Published(first.name, 0.95)
    assert accuracy(Path("models/release")) == 0.96


def test_what_cannot_be_removed_does_not_hold_up_a_release(releasable: Workspace) -> None:
    publish(releasable)
    for name in ("somebody's note", ".half.part"):
        Path("models/releases", name).touch()
        os.utime(Path("models/releases", name), (0, 0))
    for value in ("0.96", "0.97", "0.98"):
        Path("accuracy").write_text(value)
        run_stages(releasable)
        publish(releasable)
    assert accuracy(Path("models/release")) == 0.98
    assert not Path("models/releases/.half.part").exists()
    assert release._best(releasable.folder) == (os.path.basename(os.readlink("models/release")), 0.98)
