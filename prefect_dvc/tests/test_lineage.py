"""Where an output comes from, after real runs."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.events.filters import EventFilter, EventResourceFilter

from prefect_dvc import repro
from prefect_dvc.artifacts import read
from prefect_dvc.lineage import RECORDS, Made, lineage, tree
from prefect_dvc.project import Project

COMMAND = [sys.executable, "-m", "prefect_dvc", "lineage"]


def run() -> str:
    """The name of a run that completed."""
    state: Any = repro(return_state=True)
    assert state.is_completed(), state.message
    with get_client(sync_client=True) as client:
        return str(client.read_flow_run(state.state_details.flow_run_id).name)


def found(target: str) -> dict[str, Made]:
    return {made.stage: made for made in lineage(Project(Path.cwd()), target)}


def printed(target: str) -> list[str]:
    done = subprocess.run([*COMMAND, target], capture_output=True, text=True, check=True)
    return [line.strip("│├─└ ") for line in done.stdout.splitlines()]


@pytest.mark.usefixtures("server")
def test_each_output_is_traced_to_its_inputs_and_its_run(make: Any) -> None:
    project = make("linear")
    project.run("git", "add", ".")
    project.run("git", "commit", "--quiet", "-m", "first")
    commit = project.run("git", "rev-parse", "HEAD").strip()
    first = run()
    project.write("params.yaml", project.read("params.yaml").replace("lr: 0.1", "lr: 0.5"))
    second = run()
    lock = read(project.folder / "dvc.lock")["stages"]
    made = found("metrics.json")
    assert list(made) == ["evaluate", "train", "prepare"]
    assert {name: one.run["name"] for name, one in made.items() if one.run} == {
        "evaluate": first,  # train made the same again
        "train": second,
        "prepare": first,
    }
    assert made["train"].outputs == {"model.txt": f"md5:{lock['train']['outs'][0]['md5']}"}
    assert made["train"].inputs["data/prepared"] == f"md5:{lock['prepare']['outs'][0]['md5']}"
    assert made["train"].parameters["params.yaml:train.optimizer.lr"] == 0.5
    assert made["train"].run
    assert made["train"].run["commit"] == commit
    lines = printed("model.txt")
    assert lines[0] == f"model.txt md5:{lock['train']['outs'][0]['md5']}"
    assert lines[1].startswith(f"train, ran by {second} at 20")
    assert lines[1].endswith(f", from commit {commit[:12]}")
    assert "params.yaml:train.optimizer.lr = 0.5" in lines
    assert f"prepare, ran by {first} at 20" in " ".join(lines)
    as_json = json.loads(project.run(*COMMAND, "--json", "data/prepared/text"))
    assert [each["stage"] for each in as_json] == ["prepare"]
    _events_say(second, "model.txt", {"hash": f"md5:{lock['train']['outs'][0]['md5']}", "stage": "train"})


def _events_say(run: str, path: str, payload: dict[str, str]) -> None:
    """The server has an event of the asset, about this run."""
    asset = EventResourceFilter(id=[f"dvc://project/{path}"])
    deadline = time.monotonic() + 120
    with get_client(sync_client=True) as client:
        while True:  # events come a little later than the run ends
            for event in client.read_events(EventFilter(resource=asset), limit=50).events:
                related = {each.name for each in event.related}
                if event.event == "prefect.asset.materialization.succeeded" and run in related:
                    assert {name: event.payload[name] for name in payload} == payload
                    assert {"dvc://project/data/prepared", "dvc"} <= {each.id for each in event.related}
                    return
            assert time.monotonic() < deadline, "no such event"
            time.sleep(0.5)


@pytest.mark.usefixtures("server")
def test_what_was_restored_made_otherwise_or_without_us(make: Any) -> None:
    project = make("linear")
    project.dvc("repro")
    assert printed("model.txt")[1] == "train, of which no run here is known"
    project.run("rm", "-r", "dvc.lock", "model.txt")
    restored = run()
    assert printed("model.txt")[1].startswith(f"train, restored from cache by {restored} at ")
    project.write("data/data.txt", "another text\n")
    project.dvc("repro", "prepare")
    with (project.folder / RECORDS).open("a") as file:
        file.write('{"outputs": {"model.t')  # as a full disk leaves it
    (line,) = [line for line in printed("model.txt") if line.startswith("data/prepared")]
    assert line.endswith(".dir, which has been made otherwise since")
    assert list(found("model.txt")) == ["train"]


def test_a_diamond_is_shown_once(make: Any) -> None:
    project = make("matrix")
    project.dvc("repro", "merge")
    made = found("merged/all")
    assert next(iter(made)) == "merge"
    assert len(made) == 7
    assert sum(line.endswith("as above") for line in printed("merged/all")) == 6
    assert len(tree(list(made.values()), "merged/all").children) == 1


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nothing", "error: no stage makes nothing"),
        ("model.txt", "error: stage train has not made model.txt yet"),
    ],
)
def test_what_nobody_made_is_one_line(make: Any, target: str, said: str) -> None:
    project = make("linear")
    done = subprocess.run([*COMMAND, target], cwd=project.folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (2, said)
