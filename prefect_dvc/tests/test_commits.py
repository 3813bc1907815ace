"""What a run has changed, in a real remote of Git."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prefect_dvc import repro
from prefect_dvc.git import git

COMMAND = [sys.executable, "-m", "prefect_dvc"]
pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
def cloned(make: Any, tmp_path: Path) -> Any:
    """A project that has run, on the branch `main` of a bare repository, which is its `origin`."""
    project = make("linear")
    project.dvc("repro", "--quiet")
    project.publish(tmp_path / "origin")
    return project


def run(**options: Any) -> Any:
    return repro(**options, return_state=True)


def edit(project: Any, old: str, new: str) -> None:
    project.write("params.yaml", project.read("params.yaml").replace(old, new))


def test_what_changed_is_committed_and_pushed_and_nothing_else(cloned: Any, tmp_path: Path) -> None:
    first = git(cloned.folder, "rev-parse", "HEAD")
    edit(cloned, "sgd", "adam")
    cloned.write("notes", "staged, and not of this run")
    git(cloned.folder, "add", "notes")
    refused = run(commit_to="main")
    assert refused.message == (
        "error: changed and not committed: notes; what is made of that would belong to no commit,"
        " so commit it first"
    )
    git(cloned.folder, "rm", "-q", "--cached", "notes")
    state = run(commit_to="main")
    made = git(tmp_path / "origin", "rev-parse", "main")
    assert state.message.endswith(f"; from commit {first[:12]}: made commit {made[:12]} on main")
    assert git(cloned.folder, "rev-parse", "HEAD", f"{made}^").split() == [made, first]
    changed = git(cloned.folder, "diff", "--name-only", first, made).split()
    assert changed == ["dvc.lock", "metrics.json", "params.yaml"]
    assert git(cloned.folder, "status", "--porcelain") == "?? notes"
    assert run(commit_to="main").message.endswith(f"from commit {made[:12]}: nothing to commit")


@pytest.mark.parametrize("name", ["", "a..b", "a b", "-f", "--force", "a\0b", "{nope}", "a\x1b[31m", "@{-1}"])
def test_a_name_that_git_would_not_take_is_told_before_the_run(cloned: Any, name: str) -> None:
    edit(cloned, "sgd", "adam")
    for option, what in (("commit_to", "a branch"), ("experiment", "an experiment")):
        state = run(**{option: name})
        assert state.message == (
            f"error: {name!r} is no name for {what}; of what is in braces, {{run}} alone is known"
        )
    assert not run(targets=["prepare"], commit_to="of/{run}").is_failed()


def test_what_dvc_has_git_ignore_is_committed_and_stops_no_later_run(cloned: Any) -> None:
    more = "  more:\n    cmd: echo 1 > more.txt\n    deps: [params.yaml]\n    outs: [more.txt]\n"
    cloned.write("dvc.yaml", cloned.read("dvc.yaml").replace("stages:\n", f"stages:\n{more}"))
    git(cloned.folder, "commit", "-qam", "one stage more")
    git(cloned.folder, "push", "-q", "origin", "main")
    assert " made commit " in run(targets=["more"], commit_to="main").message
    assert "/more.txt" in git(cloned.folder, "show", "origin/main:.gitignore").splitlines()
    assert run(targets=["more"], commit_to="main").message.endswith(": nothing to commit")


def test_nobodys_newer_commit_is_lost(cloned: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", "--branch", "main", str(tmp_path / "origin"), str(other))
    git(other, "commit", "-q", "--allow-empty", "-m", "newer")
    git(other, "push", "-q", "origin", "main")
    newer, before = git(other, "rev-parse", "HEAD"), git(cloned.folder, "rev-parse", "HEAD")
    edit(cloned, "sgd", "adam")
    state = run(commit_to="main")
    assert state.message == (
        f"error: main of origin is at {newer[:12]}, which this run did not start from; nothing was pushed."
        " Get it, and run again: git pull origin main"
    )
    assert git(tmp_path / "origin", "rev-parse", "main") == newer
    assert git(cloned.folder, "rev-parse", "HEAD") == before
    git(cloned.folder, "pull", "-q", "--ff-only", "origin", "main")
    assert run(commit_to="results/{run}", experiment="try-{run}").is_completed()
    (branch,) = git(
        tmp_path / "origin", "for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/results"
    ).split()
    assert git(tmp_path / "origin", "rev-parse", f"results/{branch}^") == newer
    assert git(cloned.folder, "rev-parse", "HEAD") == newer, "another branch is checked out"
    assert git(tmp_path / "origin", "for-each-ref", "refs/exps").endswith(f"/try-{branch}")


def test_a_report_says_what_ran_why_and_what_came_of_it(cloned: Any, tmp_path: Path) -> None:
    edit(cloned, "sgd", "adam")
    state = run()
    assert state.is_completed()
    lines = cloned.run(*COMMAND, "report", "origin/main").splitlines()
    (train,) = [line for line in lines if line.startswith("| train |")]
    assert "| params.yaml:train.optimizer.name: sgd → adam | model.txt |" in train
    assert "| ran by " in train
    assert "Unchanged: prepare." in lines
    (length,) = [line.split() for line in lines if "| length" in line]
    assert length[1::2] == ["metrics.json", "length", "40", "20", "-20"]
    cloned.write("src/evaluate.py", cloned.read("src/evaluate.py").replace('width="9"', 'width="8"'))
    cloned.dvc("repro")
    cloned.run(*COMMAND, "report", "--output", "data/report.md")
    assert "![curve.svg](../curve.svg)" in cloned.read("data/report.md")
    done = subprocess.run([*COMMAND, "report", "nothing"], capture_output=True, text=True, cwd=cloned.folder)
    assert (done.returncode, done.stderr) == (2, "error: unknown Git revision 'nothing'\n")


def test_a_report_without_a_commit_says_what_it_needs(make: Any) -> None:
    project = make("no_git", scm=False)
    done = subprocess.run([*COMMAND, "report"], capture_output=True, text=True, cwd=project.folder)
    needs = "has no commit to compare with; a report needs Git, and one commit at least"
    assert (done.returncode, done.stderr) == (2, f"error: {project.folder} {needs}\n")
