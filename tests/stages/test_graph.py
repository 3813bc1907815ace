"""What runs again is what depends on the change: every kind of file is edited, and DVC is asked.

docs/architecture.md has the same as a table.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dvc.repo import Repo  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from digits.common.files import DROPPINGS, files_below
from tests.project import ROOT, Project, copy_project

STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
CHOICES = "data/choices"
OF_DATA = {"download", "normalize", "verify", "web_runtime", "report"}
OF_TRAINING = {"train", "crossfit"}
OF_CALIBRATION = {"calibrate", "evaluate", "export", "verify"}
OF_NETWORKS = OF_TRAINING | OF_CALIBRATION

Edit = Callable[[Path], None]


def line(path: str, text: str = "# changed\n") -> Edit:
    """One more line in a file."""

    def edit(folder: Path) -> None:
        assert (folder / path).is_file()
        with (folder / path).open("a") as file:
            file.write(text)

    return edit


def new(path: str, like: str) -> Edit:
    return lambda folder: Path(shutil.copy(folder / like, folder / path)).touch()


def value(old: str, new: str, path: str = "params.yaml") -> Edit:
    def edit(folder: Path) -> None:
        text = (folder / path).read_text()
        assert text.count(old) == 1
        (folder / path).write_text(text.replace(old, new))

    return edit


def smoothed(loss: str) -> Edit:
    name = f"  {loss}:\n    label_smoothing: 0."
    return value(f"{name}0", f"{name}1")


SGD = "\n    momentum: 0.0\n    nesterov"
# The edit, the stages that are stale then, and those that are once `parameters` has run, where it is one.
EDITS: dict[str, tuple[Edit, set[str], set[str]]] = {
    "a new solver": (new("digits/solvers/lion.py", "digits/solvers/sgd.py"), set(), set()),
    "a new schedule": (new("digits/schedules/flat.py", "digits/schedules/constant.py"), set(), set()),
    "a new model": (new("digits/models/wide.py", "digits/models/mlp.py"), set(), set()),
    "a new loss": (new("digits/losses/hinge.py", "digits/losses/cross_entropy.py"), {"parameters"}, set()),
    "a new runtime": (new("digits/runtimes/tvm.py", "digits/runtimes/openvino.py"), {"parameters"}, set()),
    "a new set": (new("digits/sets/letters.py", "digits/sets/mnist.py"), set(), set()),
    "the chosen set": (line("digits/sets/mnist.py"), {"download"}, {"download"}),
    "another set": (line("digits/sets/folder.py"), set(), set()),
    "a set's own images": (line("images/none"), {"download"}, {"download"}),
    "the chosen solver": (line("digits/solvers/sgd.py"), OF_TRAINING, OF_TRAINING),
    "another solver": (line("digits/solvers/adamw.py"), set(), set()),
    "the chosen schedule": (line("digits/schedules/constant.py"), OF_TRAINING, OF_TRAINING),
    "another schedule": (line("digits/schedules/cosine.py"), set(), set()),
    "the chosen model": (line("digits/models/mlp.py"), {"parameters"}, OF_NETWORKS),
    "another model": (line("digits/models/cnn.py"), set(), set()),
    "the chosen loss": (line("digits/losses/cross_entropy.py"), {"parameters"}, OF_TRAINING),
    "another loss": (line("digits/losses/cosine_distance.py"), {"parameters"}, set()),
    "the chosen runtime": (line("digits/runtimes/onnxruntime_cpu.py"), {"parameters"}, {"verify"}),
    "what runtimes share": (line("digits/runtimes/_onnxruntime.py"), {"parameters"}, {"verify"}),
    "another runtime": (line("digits/runtimes/openvino.py"), {"parameters"}, set()),
    "common": (line("digits/common/files.py"), set(STAGES), set(STAGES) - {"parameters"}),
    "data": (line("digits/data/idx.py"), OF_DATA, OF_DATA),
    "networks": (line("digits/networks/dropout.py"), OF_NETWORKS, OF_NETWORKS),
    "training": (line("digits/training/loop.py"), OF_TRAINING, OF_TRAINING),
    "calibration": (line("digits/calibration/conformal.py"), OF_CALIBRATION, OF_CALIBRATION),
    "what is refused": (value("refuse: 0.01", "refuse: 0.02"), {"parameters", "calibrate"}, {"calibrate"}),
    "evaluation": (line("digits/evaluation/pictures.py"), {"evaluate"}, {"evaluate"}),
    "onnx": (line("digits/onnx/parity.py"), {"export", "verify"}, {"export", "verify"}),
    "page": (line("digits/page/content.py"), {"report"}, {"report"}),
    "shift": (line("digits/shift/changes.py"), set(), set()),
    "the page's sources": (line("web/page/style.css", "\n"), {"report"}, {"report"}),
    "parameters": (line("digits/parameters/recipes.py"), {"parameters"}, set()),
    "sweeps": (line("digits/sweeps/plan.py"), set(), set()),
    "a stage": (line("stages/evaluate.py"), {"evaluate"}, {"evaluate"}),
    "flows": (line("flows/pipeline.py"), set(), set()),
    "prefect_dvc": (line("prefect_dvc/flow.py"), set(), set()),
    "a comment in params.yaml": (line("params.yaml"), set(), set()),
    "the chosen solver's value": (
        value(f"lr: 0.01{SGD}", f"lr: 0.1{SGD}"),
        {"parameters", *OF_TRAINING},
        OF_TRAINING,
    ),
    "another solver's value": (value("lr: 0.5", "lr: 0.6"), {"parameters"}, set()),
    "another loss's value": (smoothed("kullback_leibler"), {"parameters"}, set()),
    "the chosen loss's value": (smoothed("cross_entropy"), {"parameters"}, OF_TRAINING),
    "a version": (value('torch: "', 'torch: "9', "versions.yaml"), {"parameters", *OF_NETWORKS}, OF_NETWORKS),
}


def pretend(output: Path) -> None:
    path = output / "index.html" if output.name == "page" else output
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.name)


@pytest.fixture(scope="module")
def project(costly: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project as if all had run: `parameters` has, and the others have files in place of outputs."""
    folder = tmp_path_factory.mktemp("graph")
    project = copy_project(folder / "project", folder / "home")
    shutil.rmtree(project.folder / "data/raw", ignore_errors=True)
    shutil.rmtree(project.folder / "data/web_runtime", ignore_errors=True)
    project.dvc("repro", "parameters")
    for name, stage in STAGES.items():
        if name != "parameters":
            for out in (*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])):
                pretend(project.folder / (out if isinstance(out, str) else next(iter(out))))
    project.dvc("commit", "--force")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message=as if it had run")
    assert stale(project.folder) == set()
    return project


@pytest.fixture
def folder(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Its folder, in which the test is; edits are taken back."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("PATH", project.env["PATH"])  # for stages
    kept = shutil.copytree(project.folder / CHOICES, tmp_path / "choices")
    yield project.folder
    project.run("git", "reset", "--quiet", "--hard")
    project.run("git", "clean", "-fdq")
    # The only outputs that a test makes anew; DVC would look at all of them.
    shutil.rmtree(project.folder / CHOICES, ignore_errors=True)
    shutil.copytree(kept, project.folder / CHOICES)


def test_the_committed_locks_are_of_the_committed_code(
    costly: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path / "project", tmp_path / "home")
    monkeypatch.chdir(project.folder)
    found = of_other_code(project.folder)
    project.dvc("repro", "parameters")
    assert found | of_other_code(project.folder) == set(), "run `dvc repro`, and commit what it has changed"


def of_other_code(folder: Path) -> set[tuple[str, str]]:
    """Stages whose code, or whose choice of it, is not the one that their lock file names."""
    with Repo(str(folder)) as repo:
        status: dict[str, list[dict[str, dict[str, str]]]] = repo.status()
    return {
        (stage, path)
        for stage, reasons in status.items()
        for reason in reasons
        if isinstance(reason, dict)
        for path, what in reason.get("changed deps", {}).items()
        if what == "modified" and path.startswith(("digits", "stages", "web", CHOICES))
    }


ROBUSTNESS, SHIFT = (f"robustness/dvc.yaml:{name}" for name in ("robustness", "shift"))
# What is apart from the pipeline measures with these.
APART = {"networks": {ROBUSTNESS}, "onnx": {ROBUSTNESS}, "shift": {SHIFT}, "evaluation": {ROBUSTNESS, SHIFT}}
NOT_MEASURED_WITH = {"training"}


def stale(folder: Path) -> set[str]:
    with Repo(str(folder)) as repo:
        return set(repo.status())


def together() -> dict[str, list[str]]:
    """The kinds, one by one, but for those that are edited at once: none can hide where nothing is stale."""
    groups: dict[str, list[str]] = {}
    for kind, (_, at_once, in_the_end) in EDITS.items():
        alone = in_the_end or kind in APART
        groups.setdefault(kind if alone else f"nothing but {at_once or 'nothing'}", []).append(kind)
    return groups


@pytest.mark.parametrize("kinds", together().values(), ids=together())
def test_an_edit_makes_stale_what_depends_on_it(folder: Path, kinds: list[str]) -> None:
    for kind in kinds:
        EDITS[kind][0](folder)
    _, at_once, in_the_end = EDITS[kinds[0]]
    found, apart = stale(folder), {ROBUSTNESS, SHIFT}
    assert found - apart == at_once
    if kinds[0] in APART.keys() | NOT_MEASURED_WITH:
        assert found & apart == APART.get(kinds[0], set())
    if "parameters" in at_once and kinds[0] not in ("common", "a version"):
        with Repo(str(folder)) as repo:
            repo.reproduce("parameters")
        assert stale(folder) - apart == in_the_end


def test_every_room_is_edited() -> None:
    said = {f"{word}{plural}" for word in " ".join(EDITS).split() for plural in ("", "s", "es")}
    assert {path.parent.name for path in (ROOT / "digits").glob("*/__init__.py")} <= said


LEFT = (".DS_Store", "._sgd.py", "Thumbs.db", "sgd.py~", ".sgd.py.swp", "#sgd.py#", "sgd.py.orig")
FOLDERS = ["digits/solvers", "digits/losses", "digits/common", "web/page", "data/raw", "reports/page"]


def test_what_editors_and_file_managers_leave_changes_nothing(folder: Path) -> None:
    before = {where: files_below(folder / where) for where in FOLDERS}
    assert all(before.values())
    left = [folder / where / name for where in FOLDERS for name in LEFT]
    for path in left:
        path.write_text("nothing of ours")
    links = [folder / where / ".#sgd.py" for where in FOLDERS]
    for link in links:
        link.symlink_to("somebody@nowhere.1234:5678")
    try:
        assert stale(folder) == set()
        assert {where: files_below(folder / where) for where in FOLDERS} == before
        assert "sgd" not in project_status(folder)
    finally:
        for path in (*left, *links):
            path.unlink()


def project_status(folder: Path) -> str:
    return subprocess.check_output(
        ["git", "status", "--porcelain", "--untracked-files=all"], cwd=folder, text=True
    )


def test_git_dvc_and_our_own_walk_leave_out_the_same() -> None:
    for name in (".dvcignore", ".gitignore"):
        assert set(DROPPINGS) <= set((ROOT / name).read_text().splitlines())


MISTAKES = {
    "of a late stage": (
        value("  min_accuracy: 0.93", "  min_accuracy: 93"),
        "params.yaml: evaluate.min_accuracy is 93; allowed: less than or equal to 1",
    ),
    "a folder that is not there": (
        value("images: images/none", "images: images/gone"),
        "data.images is 'images/gone', which is not there; docs/data.md says what it holds",
    ),
}


@pytest.mark.parametrize(("change", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_params_yaml_is_refused_before_any_output_is_touched(
    project: Project, folder: Path, change: Edit, message: str
) -> None:
    made = [path for path in files_below(folder) if not_of(folder, path, CHOICES)]
    change(folder)
    done = project.dvc("repro", "--force", check=False)
    assert done.returncode != 0
    assert f"error: {message}\n" in done.stdout
    assert done.stdout.count("Running stage") == 1
    assert [path for path in files_below(folder) if not_of(folder, path, CHOICES)] == made


def not_of(folder: Path, path: Path, part: str) -> bool:
    return not path.relative_to(folder).as_posix().startswith((part, ".dvc", ".git/"))


def test_a_value_of_another_version_is_refused_before_any_output_is_touched(
    project: Project, folder: Path
) -> None:
    value('torch: "', 'torch: "9', "versions.yaml")(folder)
    done = project.dvc("repro", check=False)
    assert done.returncode != 0
    assert done.stdout.count("Running stage") == 1
    assert "error: torch " in done.stdout
    assert (folder / "models/model.safetensors").read_text() == "model.safetensors"


def test_the_ends_of_lines_are_kept_whatever_git_is_told(project: Project, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    project.run("git", "clone", "--quiet", "--config", "core.autocrlf=true", str(project.folder), str(clone))
    for name in ("params.yaml", "digits/common/files.py", "web/page/index.html"):
        assert (clone / name).read_bytes() == (project.folder / name).read_bytes()
