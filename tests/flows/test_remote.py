"""The pipeline with a remote: a folder, and a server that speaks the S3 protocol and may die."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import prefect
import pytest
from botocore.exceptions import BotoCoreError

from flows.pipeline import pipeline
from flows.workspace import workspace_of
from prefect_dvc import tasks
from tests.project import MakeWorkspace, run_stage, use_remote
from tests.shared import free_port

BUCKET = "digits"
PREPARE = "mkdir -p data; for i in $(seq $(cat count)); do cat source > data/$i; echo $i >> data/$i; done"
COUNT = 30
STAGES: dict[str, object] = {
    "prepare": {"cmd": PREPARE, "deps": ["count", "source"], "outs": ["data"]},
    "train": {
        "cmd": "cat data/1 params.yaml > model; echo '{}' > metrics.json; env > environment",
        "deps": ["data"],
        "params": ["train.epochs"],
        "outs": ["model"],
        "metrics": [{"metrics.json": {"cache": False}}],
    },
}
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "a secret"}

pytestmark = pytest.mark.usefixtures("prefect_server")


class S3:
    """An S3 server in a process of its own; what it holds dies with it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        output = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + 400
        while True:
            try:
                self.client().create_bucket(Bucket=BUCKET)
                return
            except BotoCoreError:
                assert time.monotonic() < deadline, "the S3 server does not answer"
                time.sleep(0.1)

    def client(self) -> Any:
        names = {name.lower(): value for name, value in KEYS.items()}
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **names)

    def stored(self) -> list[str]:
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def module_s3() -> Iterator[S3]:
    server = S3()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def s3(module_s3: S3) -> S3:
    """An S3 server with an empty bucket."""
    if module_s3.process is None:
        module_s3.start()
    for found in module_s3.stored():
        module_s3.client().delete_object(Bucket=BUCKET, Key=found)
    return module_s3


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("fetch", "push"):
        monkeypatch.setattr(tasks, name, getattr(tasks, name).with_options(retry_delay_seconds=0.5))


@pytest.fixture
def project(make_workspace: MakeWorkspace) -> Path:
    root = make_workspace(STAGES).folder
    (root / "source").write_text("a source")
    (root / "count").write_text(str(COUNT))
    return root


def empty_the_disk(root: Path) -> None:
    """Leave what a new worker has: the project, and the address of the remote."""
    for path in (".dvc/cache", ".dvc/tmp", "data"):
        shutil.rmtree(root / path, ignore_errors=True)
    for path in ("dvc.lock", "model", "metrics.json", "environment"):
        (root / path).unlink(missing_ok=True)


def run(**parameters: Any) -> Any:
    return pipeline(**parameters, return_state=True)


def outcomes(state: Any) -> list[str]:
    assert state.is_completed(), state.message
    return [str(result.outcome) for result in state.result()]


def in_sync() -> bool:
    command = [sys.executable, "-m", "dvc", "status", "--cloud", "--quiet"]
    return subprocess.run(command).returncode == 0


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_an_empty_worker_runs_nothing_that_another_has_run(
    project: Path, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "s3":
        use_remote(project, f"s3://{BUCKET}/here", request.getfixturevalue("s3").url)
    else:
        use_remote(project, str(tmp_path / "remote"))
    assert outcomes(run()) == ["ran", "ran"]
    assert outcomes(run(overrides={"train.epochs": 7})) == ["up to date", "ran"]
    assert in_sync()
    empty_the_disk(project)
    assert outcomes(run()) == ["restored from cache"] * 2
    assert outcomes(run(overrides={"train.epochs": 5})) == ["up to date", "restored from cache"]
    assert json.loads(Path("metrics.json").read_text()) == {}
    assert not Path("environment").exists(), "no stage was run"


def test_without_a_remote_or_the_wish_for_it_nothing_is_pushed(project: Path, tmp_path: Path) -> None:
    assert outcomes(run()) == ["ran", "ran"]
    use_remote(project, str(tmp_path / "remote"))
    assert outcomes(run(remote=False)) == ["up to date"] * 2
    assert not (tmp_path / "remote").exists()


def test_a_cache_that_is_lost_is_filled_again_before_the_push(project: Path, tmp_path: Path) -> None:
    use_remote(project, str(tmp_path / "remote"))
    assert outcomes(run(remote=False)) == ["ran", "ran"]
    shutil.rmtree(project / ".dvc/cache/files")
    assert outcomes(run()) == ["ran", "ran"]
    assert in_sync()


def test_a_push_sees_that_everything_is_there(project: Path, tmp_path: Path) -> None:
    use_remote(project, str(tmp_path / "remote"))
    run(remote=False)
    shutil.rmtree(project / ".dvc/cache/files")
    push = prefect.flow(
        lambda: tasks.push.with_options(retries=0)(workspace_of(project), return_state=True).message
    )
    assert push() == "push failed:\nerror: the remote lacks some outputs; see `dvc status --cloud`"


def test_a_server_that_dies_while_it_is_pushed_to(project: Path, s3: S3) -> None:
    use_remote(project, f"s3://{BUCKET}/here", s3.url)
    (project / "count").write_text("200")  # so that there is a middle
    assert outcomes(run(remote=False)) == ["ran", "ran"]

    def kill_in_the_middle() -> None:
        while len(s3.stored()) < 5:
            time.sleep(0.01)
        arrived.append(len(s3.stored()))
        s3.kill()

    arrived: list[int] = []
    thread = threading.Thread(target=kill_in_the_middle)
    thread.start()
    state = run()
    thread.join()
    assert 5 <= arrived[0] < 200
    assert state.is_failed()
    assert "push failed:\n" in state.message
    assert "The results are whole, but here alone; the next run pushes them." in state.message
    assert "Traceback" not in state.message

    s3.start()  # and has lost what it had
    assert outcomes(run()) == ["up to date"] * 2
    assert in_sync()
    assert len(s3.stored()) > 200


def test_a_server_that_is_away_is_no_reason_not_to_work(
    project: Path, s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    use_remote(project, f"s3://{BUCKET}/here", s3.url)
    s3.kill()
    state = run()
    assert state.is_failed()
    assert "Could not connect to the endpoint URL" in state.message
    assert "Going on without the remote." in caplog.text
    assert Path("model").exists()
    s3.start()
    assert outcomes(run()) == ["up to date"] * 2
    assert in_sync()


def test_credentials_may_be_a_block_of_the_server_and_are_for_dvc_alone(
    project: Path, s3: S3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from prefect.blocks.system import Secret

    use_remote(project, f"s3://{BUCKET}/here", s3.url)
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert run().is_failed()
    Secret(value=KEYS).save("digits-remote", overwrite=True)
    assert outcomes(run(force=True, credentials="digits-remote")) == ["ran", "ran"]
    assert len(s3.stored()) > COUNT
    assert "DVC_STAGE=" in Path("environment").read_text()
    assert "AWS_" not in Path("environment").read_text()
    assert "a secret" not in caplog.text


@pytest.mark.parametrize(
    ("block", "message"),
    [("missing", "credentials is 'missing': "), ("a-list", "the block must hold a JSON object")],
)
def test_a_block_that_will_not_do_is_said_before_any_work(
    project: Path, tmp_path: Path, block: str, message: str
) -> None:
    from prefect.blocks.system import Secret

    use_remote(project, str(tmp_path / "remote"))
    Secret(value=["a", "list"]).save("a-list", overwrite=True)
    state = run(credentials=block)
    assert state.is_failed()
    assert message in state.message
    assert not Path("model").exists()


@pytest.mark.parametrize("gone", ["the server", "objects"])
def test_a_remote_that_fails_during_a_run_only_means_that_the_stage_runs(
    project: Path, tmp_path: Path, gone: str
) -> None:
    use_remote(project, str(tmp_path / "remote"))
    assert outcomes(run()) == ["ran", "ran"]
    empty_the_disk(project)
    workspace, said = workspace_of(project), list[str]()
    workspace.pull = True
    workspace.dvc(["fetch", "--run-cache"], print)
    if gone == "objects":
        shutil.rmtree(tmp_path / "remote/files")
    else:
        use_remote(project, f"s3://{BUCKET}/here", "http://127.0.0.1:9")
    assert [run_stage(workspace, stage, said.append).outcome for stage in STAGES] == ["ran", "ran"]
    assert any("prepare is not taken from the remote" in line for line in said), said
    assert not any("Traceback" in line for line in said)
