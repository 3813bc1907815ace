"""Stages at the same time: that they are, within limits, and that nothing is lost when they are killed."""

import contextlib
import os
import random
import re
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from prefect_dvc import repro
from prefect_dvc.artifacts import read

PAIR = """
stages:
  one: {cmd: "touch a; until test -e b; do sleep 0.05; done"}
  two: {cmd: "touch b; until test -e a; do sleep 0.05; done"}
"""
# Each says how many were at work with it.
COUNT = "mkdir at-work.$$; ls -d at-work.* | wc -l >> seen; sleep 0.3; rmdir at-work.$$"


@pytest.mark.usefixtures("server")
def test_stages_that_wait_for_each_other_end(make: Any) -> None:
    project = make("no_git")
    project.write("dvc.yaml", PAIR)
    assert repro(jobs=2, return_state=True).is_completed()


@pytest.mark.usefixtures("server")
def test_a_limit_keeps_stages_apart(make: Any) -> None:
    project = make("no_git")
    stage = f'{{cmd: "{COUNT}", meta: {{prefect: {{resources: {{gpu: 1}}}}}}}}'
    project.write("dvc.yaml", "stages:\n" + "".join(f"  s{number}: {stage}\n" for number in range(4)))
    assert repro(jobs=4, limits={"gpu": 1}, return_state=True).is_completed()
    assert set(project.read("seen").split()) == {"1"}


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("retries", [1, 2])
def test_a_stage_is_tried_again(make: Any, retries: int) -> None:
    project = make("no_git")
    flaky = "echo x >> tries; test $(wc -l < tries) -eq 3"
    project.write(
        "dvc.yaml",
        f"stages: {{flaky: {{cmd: '{flaky}', meta: {{prefect: {{retries: {retries}, retry_delay: 0.1}}}}}}}}",
    )
    state = repro(return_state=True)
    assert state.is_completed() == (retries == 2)
    assert len(project.read("tries").split()) == retries + 1


@pytest.mark.usefixtures("server")
def test_a_stage_has_a_time_limit_of_its_own(make: Any) -> None:
    project = make("no_git")
    slow = "{cmd: 'sleep 600', meta: {prefect: {time_limit: 0.5}}}"
    project.write("dvc.yaml", f"stages: {{slow: {slow}, quick: {{cmd: 'true'}}}}")
    state = repro(time_limit=500, on_failure="skip-dependents", return_state=True)
    results: Any = state.result(raise_on_failure=False)
    assert {result.stage: str(result.outcome) for result in results} == {"slow": "failed", "quick": "ran"}
    assert str(state.message).endswith("error: slow was stopped at its time limit of 0.5 seconds")


KILLS = int(os.environ.get("PREFECT_DVC_KILLS", "3"))
"""How many of them; each at a moment drawn anew."""


@pytest.fixture(scope="module")
def undisturbed(copy: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project whose run nobody has killed."""
    project = copy("matrix", tmp_path_factory.mktemp("undisturbed") / "project")
    project.dvc("repro")
    return project


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_is_killed_is_taken_up_again(
    make: Any, server: dict[str, str], undisturbed: Any, number: int
) -> None:
    project = make("matrix")
    environment = os.environ | server
    command = [sys.executable, "-m", "prefect_dvc", "run", "--jobs", "2"]
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    with subprocess.Popen(
        command,
        cwd=project.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 25)):
            print(process.stdout.readline(), end="")
        time.sleep(chance.uniform(0, 0.3))
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        victims = family if chance.random() < 0.5 else [chance.choice(family)]
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        process.stdout.read()
    said = project.run(*command, env=environment)
    assert not re.search(r'File ".*/prefect_dvc/', said), said
    assert project.read("merged/all") == undisturbed.read("merged/all")
    # Stages are noted in the order in which they end.
    assert read(project.folder / "dvc.lock") == read(undisturbed.folder / "dvc.lock")
