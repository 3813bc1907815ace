"""What a run would do, and that it then does it."""

import json
import sys
from pathlib import Path
from typing import Any

from prefect_dvc.plan import Planned, Prospect, Reason, plan, tree
from prefect_dvc.project import Project


def planned(**selection: Any) -> dict[str, tuple[str, list[str]]]:
    """By stage, what would become of it, and why."""
    project = Project(Path.cwd())
    found = plan(project, project.stages(**selection))
    return {each.stage: (each.prospect.name, [str(reason) for reason in each.reasons]) for each in found}


def test_it_says_what_has_changed_and_what_follows(make: Any) -> None:
    project = make("linear")
    new = ["has not run before"]
    assert planned() == {
        "prepare": ("RUN", new),
        "train": ("RUN", new),
        "evaluate": ("RUN", new),
    }
    project.dvc("repro")
    assert planned() == dict.fromkeys(["prepare", "train", "evaluate"], ("STAY", []))
    lock, params = project.read("dvc.lock"), project.read("params.yaml")
    changed = params.replace("lr: 0.1", "lr: 0.5, momentum: 0.9")
    project.write("params.yaml", changed.replace("  times: 2\n", ""))
    follows = ("DEPENDS", ["train would run"])
    assert planned() == {
        "prepare": ("STAY", []),
        "train": (
            "RUN",
            [
                "params.yaml:train.optimizer.lr: 0.1 → 0.5",
                "params.yaml:train.optimizer.momentum: nothing → 0.9",
                "params.yaml:train.times: 2 → nothing",
            ],
        ),
        "evaluate": follows,
    }
    assert project.read("dvc.lock") == lock, "nothing has run, and nothing was noted"
    project.write("params.yaml", params)
    project.write("src/train.py", project.read("src/train.py") + "# more\n")
    project.write("model.txt", "by hand")
    (project.folder / "metrics.json").unlink()
    assert planned()["train"] == ("RUN", ["src/train.py is modified", "model.txt is modified"])
    assert planned()["evaluate"][1] == ["model.txt is modified", "metrics.json is deleted", "train would run"]
    assert planned(targets=["prepare"]) == {"prepare": ("STAY", [])}


def test_it_knows_what_the_run_cache_has(make: Any) -> None:
    project = make("linear")
    project.dvc("repro")
    params = project.read("params.yaml")
    project.write("params.yaml", params.replace("sgd", "adam"))
    assert planned()["train"][0] == "RUN"
    project.dvc("repro")
    project.write("params.yaml", params)
    assert planned()["train"] == ("RESTORE", ["params.yaml:train.optimizer.name: adam → sgd"])
    said = project.dvc("repro", "train")
    assert "Stage 'train' is cached - skipping run" in said
    project.run("rm", "-r", ".dvc/cache/files", "model.txt")
    assert planned()["train"][0] == "RUN", "the run is known, and its outputs are not there"


def test_commands_and_stages_that_always_change(make: Any) -> None:
    project = make("matrix")
    project.dvc("repro")
    project.write("dvc.yaml", project.read("dvc.yaml").replace("echo ${greeting}", "echo good ${greeting}"))
    found = planned()
    assert found["split@b"] == ("RUN", ["changed command"])
    assert found["look"] == ("RUN", ["always changed"])
    assert found["train@large-2"] == ("DEPENDS", ["split@a would run", "split@b would run"])
    changed = "would run if what it depends on comes out changed"
    trained = ["small-1", "small-2", "large-1", "large-2"]
    assert found["merge"][1] == [f"train@{each} {changed}" for each in trained]


def test_the_command_prints_a_tree_or_json_and_starts_no_server(make: Any) -> None:
    project = make("linear")
    printed = project.run(sys.executable, "-m", "prefect_dvc", "plan", "train")
    assert [line.strip("│├─└ ") for line in printed.splitlines()] == [
        "project: 2 stages",
        "prepare would run",
        "has not run before",
        "train would run",
        "has not run before",
    ]
    found = json.loads(project.run(sys.executable, "-m", "prefect_dvc", "plan", "--json", "prepare"))
    reason = {"kind": "never", "what": "prepare", "how": "has not run before", "before": None, "after": None}
    assert found == [{"stage": "prepare", "prospect": "run", "reasons": [reason]}]


def test_a_value_in_brackets_is_shown_as_it_is() -> None:
    from rich.console import Console

    reason = Reason("parameter", "params.yaml:prompt", "modified", "[/INST] yes", "[red]no")
    console = Console(width=100)
    with console.capture() as shown:
        console.print(tree([Planned("train", Prospect.RUN, (reason,))], "[/a]"))
    assert "[/a]: 1 stage" in shown.get()
    assert "params.yaml:prompt: [/INST] yes → [red]no" in shown.get()
