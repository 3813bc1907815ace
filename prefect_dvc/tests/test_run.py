"""The package as its users have it: installed, at the command line, with a server of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel is installed, and nothing else."""
    folder, source = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("source") / "package"
    shutil.copytree(PACKAGE, source)  # building leaves files there
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    options = ["--no-build-isolation", "--no-index", "--target", str(folder), str(source)]
    subprocess.run([*pip, *options], check=True)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect's home, empty before the first run."""
    return tmp_path_factory.mktemp("home") / "prefect"


@pytest.fixture
def command(installed: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The console script of the installed package, for a user who has configured no server."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("PREFECT_HOME", str(home))
    return [sys.executable, str(installed / "bin/prefect-dvc")]


def ended(said: str) -> dict[str, str]:
    """How stages ended, by the list at the end of a run."""
    listed = re.findall(r"^ +[\d.]+ s  (\S.*?) {2,}(\S+)$", said, re.MULTILINE)
    return {stage: outcome for outcome, stage in listed}


def test_the_wheel_alone_runs_a_project_though_proxies_lead_nowhere(
    make: Any, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make("linear")
    monkeypatch.setenv("PYTHONPATH", command[1].rpartition("/bin/")[0])
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    said = project.run(*command, "run")
    assert ended(said) == {"prepare": "ran", "train": "ran", "evaluate": "ran"}
    assert "Task run 'prepare' - 20 characters" in said
    assert "View at" not in said, "a server without pages"
    said = project.run(*command, "run", "--jobs", "1", "--limit", "gpu=1", "train")
    assert ended(said) == {"prepare": "up to date", "train": "up to date"}
    assert re.match(r"Flow run '[a-z]+-[a-z]+': nothing to run, all is up to date\n", said), said


def test_a_failure_is_told_without_a_traceback_and_its_outputs_come_back(
    make: Any, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make("linear")
    monkeypatch.setenv("PYTHONPATH", command[1].rpartition("/bin/")[0])
    project.dvc("repro")
    model = project.read("model.txt")
    project.write("src/train.py", "raise SystemExit('error: the loss is not finite')")
    done = subprocess.run([*command, "run"], cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 1
    told = [
        "train failed:",
        "error: the loss is not finite",
        "`prefect-dvc restore` puts the outputs of before back",
        "not run: evaluate",
    ]
    assert "\n".join(["", *told, ""]) in done.stderr
    assert "Traceback" not in done.stdout
    assert not (project.folder / "model.txt").exists()
    assert project.run(*command, "restore") == "model.txt is as dvc.lock says again\n"
    assert project.read("model.txt") == model
    assert project.run(*command, "restore") == "every output is as dvc.lock says\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--jobs", "0"], "error: argument -j/--jobs: 0 is not above 0"),
        (["run", "--limit", "gpu"], "error: argument --limit: 'gpu' is not of the form NAME=AMOUNT"),
        (["plan", "--json", "trian"], "error: "),
        ([], "error: the following arguments are required: COMMAND"),
    ],
)
def test_what_cannot_be_is_told_at_once(make: Any, arguments: list[str], said: str) -> None:
    project = make("linear")
    done = subprocess.run(
        [sys.executable, "-m", "prefect_dvc", *arguments], cwd=project.folder, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_a_stage_sees_the_environment_that_dvc_gives_it(
    make: Any, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make("no_git", scm=False)
    monkeypatch.setenv("PYTHONPATH", command[1].rpartition("/bin/")[0])
    stage = "stages:\n  look:\n    cmd: env | sort | grep -v '^_=' > seen\n    outs: [seen]\n"
    project.write("dvc.yaml", stage)
    run = {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
    activated = {"VIRTUAL_ENV": sys.prefix, "SHELL": "/bin/bash"}
    for name, value in {**run, **activated}.items():
        monkeypatch.setenv(name, value)
    project.dvc("repro")
    by_dvc = project.read("seen")
    project.run(*command, "run", "--force")
    ours = ("NO_PROXY=", "no_proxy=", "PREFECT_")  # the way to the server, and how to use it
    by_us = {line for line in project.read("seen").splitlines() if not line.startswith(ours)}
    assert by_us == {line for line in by_dvc.splitlines() if not line.startswith(ours)}
    assert not any(line.startswith("PREFECT_") for line in project.read("seen").splitlines())
