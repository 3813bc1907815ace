"""Deployments of which the server refuses unknown parameters, as it does wrong values of known ones."""

from collections.abc import Sequence

from prefect import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.exceptions import ObjectNotFound


class DeploymentError(Exception):
    """It cannot be changed; `str` is one line for the user."""


def refuse_unknown(names: Sequence[str]) -> None:
    """Have the server refuse a run with an unknown parameter, when it is asked for and with the reason.

    Otherwise it takes the run, which then crashes in the worker's hands, with the reason in its log alone.
    `prefect deploy` makes the schema of the parameters anew, so this belongs after it.

    Args:
        names: of deployments, `FLOW/DEPLOYMENT`.

    Raises:
        DeploymentError: the server has no such deployment.
    """
    with get_client(sync_client=True) as client:
        for name in names:
            try:
                deployment = client.read_deployment_by_name(name)
            except (ObjectNotFound, ValueError):
                raise DeploymentError(
                    f"the server has no deployment {name}; see `prefect deployment ls`"
                ) from None
            schema = {**(deployment.parameter_openapi_schema or {}), "additionalProperties": False}
            client.update_deployment(deployment.id, DeploymentUpdate(parameter_openapi_schema=schema))
