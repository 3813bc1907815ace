"""What a run is asked to do, checked before any work."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from digits.common.text import cut, shown
from digits.parameters import recipes
from digits.parameters import schema as parameters
from flows.environment import ADDED, visible
from prefect_dvc.project import Stage
from prefect_dvc.workspace import Workspace

if TYPE_CHECKING:
    from prefect_dvc.runners.container import ContainerRunner

NETWORK = frozenset({"download", "web_runtime"})
"""The stages that need one."""
GPU = frozenset({"train", "verify"})
"""The stages that use one."""


BLOCK = re.compile("[a-z0-9][a-z0-9-]*")


class RequestError(ValueError):
    """What was asked for is not possible; `str` is one line for the user."""


def check(
    workspace: Workspace,
    stages: Sequence[str] | None,
    overrides: Mapping[str, object],
    time_limit: float | None,
) -> list[Stage]:
    """Check a request before any work; return the stages to run, in the order of `dvc.yaml`.

    Raises:
        RequestError: a stage is unknown, there is none, or the time limit is not positive.
        ProjectError: `dvc.yaml` cannot be read.
        digits.parameters.ParameterError: `params.yaml` or an override is not valid.
    """
    if time_limit is not None and not 0 < time_limit < float("inf"):
        raise RequestError(f"the time limit is {time_limit:g}, but must be a positive number of seconds")
    # First, for DVC reads params.yaml with dvc.yaml, and says less of what is wrong in it.
    parameters.read(workspace.folder / "params.yaml", overrides)
    if stages is not None and not stages:
        raise RequestError("stages is empty; name some, or leave it out to run all")
    names = [stage.name for stage in workspace.project.own]
    unknown = [stage for stage in stages or [] if stage not in names]
    if unknown:
        raise RequestError(f"unknown stage {', '.join(map(cut, unknown))}; there are {', '.join(names)}")
    if stages is None:
        return workspace.project.own
    return workspace.project.stages(stages, single_item=True)


def with_recipe(root: Path, recipe: str | None, overrides: Mapping[str, object]) -> dict[str, object]:
    """The values of a recipe of `root`, none without one, and the overrides, which go before.

    Raises:
        RequestError: there is no such recipe, or its file is not valid.
    """
    if recipe is None:
        return dict(overrides)
    try:
        return {**recipes.overrides(root / "recipes", recipe), **overrides}
    except recipes.RecipeError as error:
        raise RequestError(str(error)) from None


def containers(runner: str, image: str, memory: str | None, cpus: float | None) -> "ContainerRunner | None":
    """The runner that gives each stage a container, ready to work; None for the runner `process`.

    Raises:
        RequestError: a limit is not possible, or containers cannot run here.
    """
    if runner == "process":
        if memory is not None or cpus is not None:
            raise RequestError("memory and cpus limit containers; they need the runner `docker`")
        return None
    from prefect_dvc.runners.container import ContainerError, ContainerRunner  # not for everyone

    try:
        chosen = ContainerRunner(
            image=image,
            image_comes_by="`make image` builds it",
            memory=memory,
            cpus=cpus,
            network=NETWORK,
            gpus=GPU,
            visible=visible(os.environ.get(ADDED, ""), here=False),
        )
        chosen.check()
    except ValidationError as error:
        details = error.errors()[0]
        raise RequestError(f"{details['loc'][0]} is {shown(details['input'])}: {details['msg']}") from None
    except ContainerError as error:
        raise RequestError(str(error)) from None
    return chosen


def secret(name: str | None) -> dict[str, str]:
    """The environment variables in a Secret block of the Prefect server; none without a name.

    Raises:
        RequestError: the name is none, there is no such block, or it holds something else.
    """
    if name is None:
        return {}
    given = f"credentials is {shown(name)}"
    if not BLOCK.fullmatch(name):
        raise RequestError(f"{given}: a block's name consists of lower-case letters, digits and dashes")
    from prefect.blocks.system import Secret  # loads all kinds of blocks

    try:
        block: Any = Secret.load(name)
    except ValueError as error:
        raise RequestError(f"{given}: {' '.join(str(error).split())}") from None
    content = block.get()
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise RequestError(f"{given}: the block must hold a JSON object of environment variables")
    return content
