"""The job templates of work pools, filled in as a worker does it, against the schema of Kubernetes."""

import asyncio
import json
import re
import shlex
from typing import Any
from uuid import uuid4

import kubernetes_validate
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import FlowRun
from prefect.workers.base import BaseJobConfiguration

from prefect_dvc.__main__ import main

try:  # the worker itself, where it is: importing it costs each Prefect server and worker seconds
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration as Job
except ImportError:

    class Job(BaseJobConfiguration):  # type: ignore[no-redef]
        """The part of prefect-kubernetes' that fills in what the template leaves to it."""

        job_manifest: dict[str, Any]

        def prepare_for_flow_run(self, *arguments: Any, **options: Any) -> None:
            super().prepare_for_flow_run(*arguments, **options)
            (container,) = pod(self)["containers"]
            container["env"] = [{"name": name, "value": value} for name, value in self.env.items()]
            container["args"] = shlex.split(str(self.command))


def pod(job: Job) -> Any:
    return job.job_manifest["spec"]["template"]["spec"]


def template(kind: str, capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["template", kind, "registry.example.com/project:1"]) == 0
    return json.loads(capsys.readouterr().out)


async def filled_in(base: Any, values: dict[str, Any]) -> Any:
    async with PrefectClient("http://127.0.0.1:9/api") as client:  # it is asked nothing: no block is named
        return await Job.from_template_and_values(base, values, client=client)


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "8Gi"}},
            "node_selector": {"accelerator": "h200"},
            "home": {"name": "home", "persistentVolumeClaim": {"claimName": "stages"}},
            "env": {"PYTHONPATH": "/app"},
            "namespace": "training",
            "secret": "remote",
        },
    ],
)
def test_a_job_is_valid_by_the_schema_of_kubernetes(
    values: dict[str, Any], version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base = template("kubernetes", capsys)
    job = asyncio.run(filled_in(base, values))
    job.prepare_for_flow_run(FlowRun(id=uuid4(), name="train", flow_id=uuid4()))
    # Prefect's worker wants them here, where Kubernetes ignores them.
    for name in ("parallelism", "completions"):
        assert pod(job).pop(name) == 1
    kubernetes_validate.validate(job.job_manifest, version, strict=True)
    (container,) = pod(job)["containers"]
    assert container["image"] == "registry.example.com/project:1"
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["PREFECT_DVC_HOME"] == container["volumeMounts"][1]["mountPath"]
    assert values.get("env", {}).items() <= environment.items()
    assert container["args"][:2] == ["prefect", "flow-run"]
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod(job)["volumes"]}


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_a_template_uses_each_variable_that_it_has(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = template(kind, capsys)
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(made["job_configuration"])))
    assert used == made["variables"]["properties"].keys()
