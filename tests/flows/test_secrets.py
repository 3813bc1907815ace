"""What stages see of the environment, and that no secret in it is found anywhere afterwards."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from flows.environment import ADDED, visible
from flows.request import containers
from flows.workspace import workspace_of
from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace
from tests.containers import IMAGE
from tests.flows import releasing
from tests.flows.servers import NIGHTLY, Server, copy_flows
from tests.project import ROOT, MakeWorkspace, run_stage

SECRETS = (
    *(
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_CLIENT_SECRET",
        "CUDA_LICENSE_KEY",
        "DATABASE_URL",
    ),
    *("DIGITS_WEBHOOK_TOKEN", "DIGITS_WEBHOOK_URL", "DVC_STUDIO_TOKEN", "GITHUB_TOKEN", "HF_TOKEN"),
    *("NPM_CONFIG_//registry.example.com/:_authToken", "NPM_CONFIG__AUTH", "NPM_TOKEN", "NVIDIA_API_KEY"),
    *(
        "PIP_INDEX_URL",
        "PREFECT_API_AUTH_STRING",
        "PREFECT_API_KEY",
        "PYTHON_KEYRING",
        "npm_config__password",
    ),
)
PLANTED = {name: f"planted-{number}-secret" for number, name in enumerate(SECRETS)}
NEEDED = {
    "CUDA_VISIBLE_DEVICES": "0",
    "HTTPS_PROXY": "http://proxy.example.com:3128",
    "NO_PROXY": "localhost",
    "NPM_CONFIG_REGISTRY": "https://npm.example.com/",
    "OMP_NUM_THREADS": "2",
    "TZ": "Asia/Kathmandu",
    "http_proxy": "http://proxy.example.com:3128",
}
OF_THIS_MACHINE = {"LC_ALL": "C.UTF-8", "NODE_EXTRA_CA_CERTS": "/ca.pem", "NPM_CONFIG_CACHE": "/npm"}
LOOK = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**PLANTED, **NEEDED, **OF_THIS_MACHINE}.items():
        monkeypatch.setenv(name, value)


def seen(workspace: Workspace, stage: str) -> dict[str, str]:
    lines: list[str] = []
    assert run_stage(workspace, stage, lines.append).outcome is Outcome.RAN, lines
    found: dict[str, str] = json.loads(lines[-1])
    return found


def secrets_in(text: str) -> list[str]:
    return [name for name, value in PLANTED.items() if value in text]


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("command", ["python -m look", "python look.py"])
def test_a_stage_as_a_process_sees_what_it_needs(make_workspace: MakeWorkspace, command: str) -> None:
    workspace = make_workspace({"look": command})
    (workspace.folder / "look.py").write_text(LOOK)
    workspace.credentials = {"OMP_KEPT": "planted-0-secret"}  # of a block: for DVC alone, whatever its name
    environment = seen(workspace, "look")
    assert secrets_in(json.dumps(environment)) == []
    assert (NEEDED | OF_THIS_MACHINE).items() <= environment.items()
    assert environment.keys() >= {"DVC_STAGE", "HOME", "PATH", "PYTHONPATH"}


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("stage", ["download", "train"])
def test_a_stage_in_a_container_sees_what_it_needs_and_nothing_of_this_machine(
    engine: docker.DockerClient, make_workspace: MakeWorkspace, stage: str
) -> None:
    root = make_workspace({stage: "python -m look"}).folder
    (root / "look.py").write_text(LOOK)
    environment = seen(workspace_of(root, containers("docker", IMAGE, None, None)), stage)
    assert secrets_in(json.dumps(environment)) == []
    assert NEEDED.items() <= environment.items()
    assert not {"PYTHONPATH", "NPM_CONFIG_CACHE", "LC_ALL"} & environment.keys()
    assert environment["HOME"] == "/tmp"
    assert environment["NODE_EXTRA_CA_CERTS"] != "/ca.pem"


def of_stage(environment: dict[str, str], *, here: bool) -> dict[str, str]:
    expression = visible(environment.get(ADDED, ""), here=here)
    return {name: value for name, value in environment.items() if re.fullmatch(expression, name)}


@pytest.mark.parametrize("name", ["npm_config_@group:registry", "npm_config_https_proxy", "all_proxy"])
def test_networks_of_a_company_have_what_they_need(name: str) -> None:
    assert of_stage({name: "https://npm.example.com/"}, here=False)


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize(
    "names", ["HF_TOKEN,NPM_CONFIG__AUTH", " HF_TOKEN  NPM_CONFIG__AUTH ", "NPM_CONFIG__AUTH HF_TOKEN"]
)
def test_a_user_may_let_stages_see_more(names: str, here: bool) -> None:
    given = of_stage({**PLANTED, "DIGITS_STAGE_ENVIRONMENT": names}, here=here)
    assert given == {name: PLANTED[name] for name in ("HF_TOKEN", "NPM_CONFIG__AUTH")}


@pytest.mark.parametrize("names", ["*", "HF_*", "hf_token", "TOKEN", "", "HF_TOKEN=1"])
def test_only_whole_names_count(names: str) -> None:
    assert of_stage({**PLANTED, "DIGITS_STAGE_ENVIRONMENT": names}, here=True) == {}


@pytest.fixture
def project(empty_project: Path, tmp_path: Path, small_path: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two stages that say all they see, and whose outputs are released."""
    monkeypatch.setenv("PYTHONPATH", small_path)
    root = copy_flows(empty_project, tmp_path / "project")
    releasing.write(root)
    stages = json.loads((root / "dvc.yaml").read_text())
    stages["stages"]["evaluate"]["cmd"] = "env; env > seen; sh evaluate"
    stages["stages"]["export"]["cmd"] = ["python -m look", "mkdir -p models; env > models/model.onnx"]
    (root / "dvc.yaml").write_text(json.dumps(stages))
    (root / "evaluate").write_text((root / "evaluate").read_text().replace("cp model ", "cp seen "))
    (root / "look.py").write_text(LOOK)
    remote = ["remote", "add", "--default", "store", str(tmp_path / "remote")]
    subprocess.run([sys.executable, "-m", "dvc", *remote], cwd=root, check=True)
    return root


def files_with_secrets(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            yield from (f"{path}: {name}" for name, value in PLANTED.items() if value.encode() in content)


def python(server: Server, *arguments: str) -> None:
    # The server of PREFECT_API_URL is asked with these, too.
    own = {name: value for name, value in PLANTED.items() if not name.startswith("PREFECT_")}
    address = {"DIGITS_WEBHOOK_URL": "http://127.0.0.1:9/hook"}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=server.env | own | address, check=True)


def test_no_secret_is_left_anywhere(own_server: Server, project: Path, tmp_path: Path) -> None:
    """Not in logs and artifacts, releases, locks, caches and remotes, nor in the server's database."""
    block = "import os; from prefect.blocks.system import Secret; Secret(value={'AWS_SECRET_ACCESS_KEY': "
    python(own_server, "-c", f"{block}os.environ['AWS_SECRET_ACCESS_KEY']}}).save('keys')")
    python(own_server, "-m", "flows.automations")
    deployment = {**NIGHTLY["nightly"], "schedules": []}
    own_server.deploy(project, deployment)
    kept = {name: value for name, value in PLANTED.items() if not name.startswith("PREFECT_")}
    with own_server.worker(project, deployment, **kept):
        run = own_server.begin(deployment, credentials="keys", remote=True)
        own_server.wait_for(run, "Completed", "Failed")
    assert own_server.state(run) == "Completed", own_server.log.read_text()
    own_server.stop()
    assert (project / "models/release/model.onnx").exists()
    assert (tmp_path / "remote/files").is_dir()
    assert any((tmp_path / "server").rglob("prefect.db"))
    assert list(files_with_secrets(tmp_path)) == []
