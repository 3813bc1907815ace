"""What `dvc.yaml` may say of a stage under `meta: prefect:`, which DVC leaves to others."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from prefect_dvc.project import ProjectError, Stage


class StageOptions(BaseModel, extra="forbid"):
    """How a stage is run. None of it makes the stage stale."""

    retries: Annotated[int, Field(ge=0)] = 0
    """How often it is tried again after it failed."""
    retry_delay: Annotated[float, Field(ge=0)] = 10
    """Seconds before each."""
    time_limit: Annotated[float, Field(gt=0)] | None = None
    """Seconds of its command."""
    pool: str | None = None
    """The work pool whose worker runs it, on another machine; see `pools.py`."""
    resources: dict[str, Annotated[float, Field(ge=0)]] = {}
    """How much it takes, while it works, of what a run has limits for, such as `cpus`, `memory` or `gpu`."""


def read_options(stages: Iterable[Stage]) -> dict[str, StageOptions]:
    """The options of these stages, by name.

    Raises:
        ProjectError: some are not possible.
    """
    found = {}
    for stage in stages:
        try:
            found[stage.name] = StageOptions.model_validate(stage.meta or {})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(["meta.prefect", *map(str, first["loc"])])
            raise ProjectError(f"stage {stage.name}: {where} is {first['input']!r}: {first['msg']}") from None
    return found
