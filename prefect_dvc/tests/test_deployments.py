"""What a server says to parameters that a deployment has not."""

import os
import subprocess
import sys
from typing import Any

import httpx
import pytest
from prefect import get_client

from prefect_dvc import repro


def test_unknown_parameters_are_refused_with_the_reason(server: dict[str, str]) -> None:
    deployment: Any = repro.to_deployment("strict")
    deployment_id = deployment.apply()
    command = [sys.executable, "-m", "prefect_dvc", "strict"]
    environment = os.environ | server
    subprocess.run([*command, "repro/strict"], env=environment, check=True)
    with get_client(sync_client=True) as client:
        for name, value, reason in (
            ("foo", 1, "Additional properties are not allowed ('foo' was unexpected)"),
            ("jobs", 0, "Validation failed for field 'jobs'"),
        ):
            with pytest.raises(httpx.HTTPStatusError) as refused:
                client.create_flow_run_from_deployment(deployment_id, parameters={name: value})
            assert refused.value.response.status_code == 409
            assert reason in refused.value.response.json()["detail"]
        client.create_flow_run_from_deployment(deployment_id, parameters={"jobs": 1, "targets": None})
        client.create_flow_run_from_deployment(deployment_id)
    done = subprocess.run([*command, "repro/nothing"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: the server has no deployment repro/nothing; see `prefect deployment ls`\n"
