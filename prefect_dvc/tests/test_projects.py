"""Projects as their users have them: first run, second run, an edit, a failure."""

import shutil
from typing import Any

import pytest
from prefect import get_client

from prefect_dvc import repro
from prefect_dvc.transcript import StageResult

UP_TO_DATE = "up to date"
pytestmark = pytest.mark.usefixtures("server")


def outcomes(state: Any) -> dict[str, str]:
    """How each stage of a run ended, in the order in which they did."""
    results: list[StageResult] = state.result(raise_on_failure=False)
    return {result.stage: str(result.outcome) for result in results}


def run(*targets: str, **options: Any) -> Any:
    return repro(list(targets), **options, return_state=True)


def completed(*targets: str, **options: Any) -> dict[str, str]:
    state = run(*targets, **options)
    assert state.is_completed(), state.message
    return outcomes(state)


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_line_of_stages(make: Any, jobs: int) -> None:
    project = make("linear")
    stages = ["prepare", "train", "evaluate"]
    assert completed(jobs=jobs) == dict.fromkeys(stages, "ran")
    assert completed(jobs=jobs) == dict.fromkeys(stages, UP_TO_DATE)
    project.write("params.yaml", project.read("params.yaml").replace("sgd", "adam"))
    assert completed(jobs=jobs) == {"prepare": UP_TO_DATE, "train": "ran", "evaluate": "ran"}
    project.write("params.yaml", project.read("params.yaml").replace("adam", "sgd"))
    restored = "restored from cache"
    assert completed(jobs=jobs) == {"prepare": UP_TO_DATE, "train": restored, "evaluate": restored}
    assert project.dvc("status") == "Data and pipelines are up to date.\n"
    assert completed("train", single_item=True, force=True, jobs=jobs) == {"train": "ran"}


def test_what_a_stage_declares_becomes_artifacts(make: Any) -> None:
    make("linear")
    state = run()
    with get_client(sync_client=True) as client:
        artifacts = [
            each for each in client.read_artifacts() if each.flow_run_id == state.state_details.flow_run_id
        ]
    found = {each.key: each for each in artifacts}
    assert found.keys() == {"evaluate-metrics-json", "evaluate-curve-csv", "evaluate-curve-svg"}
    assert '"test.loss"' in str(found["evaluate-metrics-json"].data)
    assert '"0.5"' in str(found["evaluate-curve-csv"].data)
    assert str(found["evaluate-curve-svg"].data).startswith("data:image/svg+xml;base64,")


def test_a_matrix_with_vars_lists_and_folders(make: Any) -> None:
    project = make("matrix")
    trained = [f"train@{model}-{seed}" for model in ("small", "large") for seed in (1, 2)]
    first = completed(jobs=3)
    assert first == dict.fromkeys(["split@a", "split@b", *trained, "merge", "look", "old"], "ran")
    assert project.read("merged/all") == "hello a\nhello b\n" * 4
    project.dvc("freeze", "old")
    again = completed(jobs=3)
    assert again.pop("look") == "ran", "it is always changed"
    assert set(again.values()) == {UP_TO_DATE}
    project.write("settings.yaml", "parts: [a, b, c]\n")
    added = completed(jobs=3)
    assert {name for name, outcome in added.items() if outcome == "ran"} == {"split@c", "look"}
    project.write("dvc.yaml", project.read("dvc.yaml").replace("greeting: hello", "greeting: goodbye"))
    changed = completed(jobs=3)
    assert changed.pop("old") == UP_TO_DATE, "it is frozen"
    assert set(changed.values()) == {"ran"}


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_failure_in_one_branch(make: Any, jobs: int) -> None:
    project = make("matrix")
    project.write("blocked", "large-1")
    state = run(jobs=jobs, on_failure="skip-dependents")
    assert state.is_failed()
    assert state.message.splitlines()[0] == "train@large-1 failed:"
    assert state.message.splitlines()[-1] == "not run: merge"
    ended = outcomes(state)
    assert {name: ended.pop(name) for name in ("train@large-1", "merge")} == {
        "train@large-1": "failed",
        "merge": "skipped",
    }
    assert set(ended.values()) == {"ran"}
    project.write("blocked", "nobody")
    mended = completed(jobs=jobs)
    assert {name for name, outcome in mended.items() if outcome == "ran"} == {
        "train@large-1",
        "merge",
        "look",
    }


def test_a_failure_stops_what_has_not_begun(make: Any) -> None:
    project = make("matrix")
    project.write("blocked", "small-1")
    ended = outcomes(run(jobs=1))
    assert ended["train@small-1"] == "failed"
    assert {ended[name] for name in ("train@small-2", "train@large-1", "merge")} == {"skipped"}


def test_a_folder_of_a_monorepo(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make("monorepo")
    monkeypatch.chdir(project.folder / "models/small")
    assert completed() == {"../../data/dvc.yaml:collect": "ran", "train": "ran"}
    assert project.read("models/small/model") == "9\n"
    assert (project.folder / "models/small/dvc.lock").exists()
    monkeypatch.chdir(project.folder)
    both = {"data/dvc.yaml:collect": UP_TO_DATE, "models/small/dvc.yaml:train": UP_TO_DATE}
    assert completed() == both | {"report": "ran"}
    project.write("data/params.yaml", "last: 10\n")
    ran = {"data/dvc.yaml:collect": "ran", "models/small/dvc.yaml:train": "ran"}
    assert completed("models/small/dvc.yaml") == ran
    assert completed(all_pipelines=True) == both | {"report": "ran"}
    assert project.read("report") == "10\n"


def test_without_git(make: Any) -> None:
    project = make("no_git", scm=False)
    assert completed() == {"copy": "ran", "twice": "ran"}
    project.write("source", "two\n")
    assert completed() == {"copy": "ran", "twice": "ran"}
    assert completed() == {"copy": UP_TO_DATE, "twice": UP_TO_DATE}


def test_a_project_whose_git_is_missing_says_what_to_do(make: Any) -> None:
    project = make("no_git")
    shutil.rmtree(project.folder / ".git")
    message = run().message
    assert "is not a git repository" in message
    assert "git clone" in message
    project.dvc("config", "--local", "core.no_scm", "true")
    assert completed() == {"copy": "ran", "twice": "ran"}


def test_data_of_elsewhere_and_a_remote(make: Any, tmp_path: Any) -> None:
    project = make("imports")
    (tmp_path / "elsewhere").write_text("1\n2\n3\n")
    project.dvc("import-url", str(tmp_path / "elsewhere"), "data/lines")
    project.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    assert completed() == {"count": "ran"}
    (tmp_path / "elsewhere").unlink()
    for path in ("data/lines", "count", ".dvc/cache"):
        project.run("rm", "-r", path)
    assert completed() == {"data/lines.dvc": "restored from cache", "count": "restored from cache"}
    assert project.read("count") == "3\n"


def test_a_folder_that_is_no_project_is_one_line(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run().message == f"error: {tmp_path} is in no DVC repository; `dvc init` makes one"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_stage_and_options_that_cannot_be_are_one_line(make: Any) -> None:
    project = make("linear")
    assert run("trian").message.startswith("error: ")
    assert "trian" in run("trian").message
    assert run(pools={"trian": "gpu"}).message == (
        "error: pool 'gpu' is for 'trian', and there is no such stage"
    )
    assert run(pools={"train": ""}).message == "error: the pool of stage train has no name"
    text = project.read("dvc.yaml")
    project.write(
        "dvc.yaml",
        text.replace("    params: [train]", "    params: [train]\n    meta: {prefect: {retry: 2}}"),
    )
    said = run().message
    assert "stage train: meta.prefect.retry is 2" in said
    assert "\n" not in said
