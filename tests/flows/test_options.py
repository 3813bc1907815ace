"""What a deployment may ask of `prefect_dvc`, asked through this project's flow."""

from pathlib import Path
from typing import Any

import pytest

from tests.project import MakeWorkspace, git

pytestmark = pytest.mark.usefixtures("costly", "prefect_server")
COPY = {
    "cmd": "cp params.yaml model",
    "params": ["train.epochs"],
    "outs": [{"model": {"cache": False}}],
    "meta": {"prefect": {"pool": "nobody"}},
}


def run(**parameters: Any) -> Any:
    from flows.pipeline import pipeline

    return pipeline(**parameters, return_state=True)


def ended(state: Any) -> dict[str, str]:
    return {result.stage: str(result.outcome) for result in state.result(raise_on_failure=False)}


def publish(origin: Path) -> str:
    """Commit this folder on the branch `main` of a new `origin`; returns the commit."""
    git("init", "--quiet", "--bare", str(origin))
    git("init", "--quiet")
    for name, value in (("user.name", "somebody"), ("user.email", "somebody@example.com")):
        git("config", name, value)
    git("checkout", "--quiet", "-B", "main")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    git("remote", "add", "origin", str(origin))
    git("push", "--quiet", "--set-upstream", "origin", "main")
    return git("rev-parse", "HEAD")


def test_after_a_failure_it_goes_on_with_what_does_not_depend_on_it(make_workspace: MakeWorkspace) -> None:
    make_workspace(
        {
            "train": {"cmd": "exit 1", "outs": ["model"]},
            "evaluate": {"cmd": "true", "deps": ["model"]},
            "look": "touch looked",
        }
    )
    state = run(on_failure="skip-dependents", jobs=1)
    assert state.is_failed()
    assert state.message.splitlines()[-1] == "not run: evaluate"
    assert Path("looked").exists()


def test_two_jobs_are_at_work_at_once_and_a_stage_is_tried_again(make_workspace: MakeWorkspace) -> None:
    retried = {"prefect": {"retries": 1, "retry_delay": 0}}
    make_workspace(
        {
            "one": "touch a; until test -e b; do sleep 0.05; done",
            "two": {"cmd": "touch b; test -e tried || { touch tried; exit 1; }", "meta": retried},
        }
    )
    assert ended(run(jobs=2)) == {"one": "ran", "two": "ran"}


def test_what_it_changes_goes_into_git_and_nothing_runs_without_something_new(
    make_workspace: MakeWorkspace, tmp_path: Path
) -> None:
    workspace = make_workspace({"train": COPY | {"meta": {}}})
    first, origin = publish(tmp_path / "origin"), tmp_path / "origin"
    state = run(commit_to="nightly", experiment="try-{run}", when_changed=True)
    made = git("rev-parse", "nightly", folder=origin)
    assert f"from commit {first[:12]}: made commit {made[:12]} on nightly" in state.message
    assert git("rev-parse", "nightly^", folder=origin) == first
    assert set(git("diff", "--name-only", first, made).split()) == {"dvc.lock", "model"}
    assert "/try-" in git("for-each-ref", "refs/exps", folder=origin)
    assert run(when_changed=True).name == "Nothing new"

    other = tmp_path / "other"
    git("clone", "--quiet", "--branch", "main", str(origin), str(other))
    git("commit", "--quiet", "--allow-empty", "-m", "newer", folder=other)
    git("push", "--quiet", folder=other)
    assert run(when_changed=True).name == "Completed"
    assert git("rev-parse", "HEAD") == git("rev-parse", "HEAD", folder=other), "the branch is forwarded"
    assert workspace.project.stale(["train"]) == {}


@pytest.mark.parametrize(("pools", "named"), [({}, "nobody"), ({"train": "gpu"}, "gpu")])
def test_a_pool_is_asked_for_in_either_place(
    make_workspace: MakeWorkspace, pools: dict[str, str], named: str
) -> None:
    make_workspace({"train": COPY})
    state = run(pools=pools)
    assert state.is_failed()
    assert f"error: pool {named} needs a remote of DVC for the data" in state.message
    assert not Path("model").exists()
