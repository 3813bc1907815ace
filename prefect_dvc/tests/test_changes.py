"""Runs that begin only where there is something new: other data at a URL, a commit on the branch."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from prefect_dvc import repro
from prefect_dvc.git import git

pytestmark = pytest.mark.usefixtures("server")


class Source(ThreadingHTTPServer):
    """One file over HTTP, with its ETag."""

    content = b"1\n2\n"


class Handler(BaseHTTPRequestHandler):
    server: Source

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{hash(self.server.content)}"')
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def source() -> Iterator[Source]:
    with Source(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever).start()
        yield serving
        serving.shutdown()


def run(**options: Any) -> tuple[str, str]:
    """The name of the state, and its message."""
    state: Any = repro(when_changed=True, **options, return_state=True)
    return state.name, state.message


def test_other_data_at_a_url_or_a_commit_starts_a_run_and_nothing_else_does(
    make: Any, source: Source, tmp_path: Path
) -> None:
    project = make("imports")
    project.dvc("import-url", f"http://127.0.0.1:{source.server_port}/lines", "data/lines")
    project.publish(tmp_path / "origin")
    assert run() == ("Completed", "count ran")
    nothing_new = ("Nothing new", "nothing new: nothing was run")
    downloaded = (project.folder / "data/lines").stat()
    assert run() == nothing_new
    assert (project.folder / "data/lines").stat() == downloaded, "the ETag was enough"
    source.content = b"1\n2\n3\n"
    assert run(commit_to="main")[1].startswith("count ran; from commit ")
    assert project.read("count") == "3\n"
    changed = [".gitignore", "data/lines.dvc", "dvc.lock"]  # the first by the first run, for `count`
    assert git(project.folder, "diff", "--name-only", "HEAD^").split() == changed
    assert run() == nothing_new, "its own commit is none that it has not seen"
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", "--branch", "main", str(tmp_path / "origin"), str(other))
    (other / "dvc.yaml").write_text((other / "dvc.yaml").read_text().replace("wc -l", "exit 1; wc -l"))
    git(other, "commit", "-qam", "it fails")
    git(other, "push", "-q")
    for _ in range(2):  # what has failed is new until it has not
        assert run()[0] == "Failed"
    git(other, "revert", "--no-edit", "HEAD")
    git(other, "push", "-q")
    assert run() == ("Completed", "count restored from cache")


def test_where_nothing_can_change_and_where_a_branch_has_gone_another_way(make: Any, tmp_path: Path) -> None:
    project = make("linear")
    nothing = "error: nothing here can change by itself: the branch has no upstream, and there are no imports"
    assert run() == ("Failed", nothing)
    project.publish(tmp_path / "origin")
    git(project.folder, "commit", "-q", "--allow-empty", "--amend", "-m", "another")
    name, message = run()
    assert name == "Failed"
    assert message.startswith("error: origin/main cannot be followed: git merge: ")
    assert "\n" not in message
