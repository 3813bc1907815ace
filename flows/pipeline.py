"""The Prefect flow: every stage of `dvc.yaml` as a task. `python -m flows.pipeline --help`."""

import os
import sys

from flows.server import EmbeddedServer, ServerError
from flows.settings import server_is_configured

EMBEDDED: EmbeddedServer | None = None
if __name__ == "__main__" and not {"-h", "--help"} & set(sys.argv) and not server_is_configured():
    # Here, so that it starts while all that follows is imported.
    EMBEDDED = EmbeddedServer()
    os.environ["PREFECT_API_URL"] = EMBEDDED.url

# ruff: noqa: E402
import argparse
import logging
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS
from prefect.states import Completed, Failed
from pydantic import Field
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits import parameters
from flows.artifacts import publish
from flows.summary import summary
from flows.workspace import Outcome, StageResult, Workspace, WorkspaceError


class RequestError(ValueError):
    """What was asked for is not possible; `str` is one line for the user."""


# DVC is the only cache: a result that Prefect kept could disagree with it.
@task(cache_policy=NO_CACHE, persist_result=False)
def run_stage(workspace: Workspace, stage: str, force: bool, time_limit: float | None) -> State[Any]:
    """Bring one stage up to date and publish its reports. Ends as Failed with the stage's own last lines."""
    logger = get_run_logger()
    started = time.time()
    try:
        result = workspace.run(stage, logger.info, force=force, time_limit=time_limit)
    except WorkspaceError as error:
        result = StageResult(stage, Outcome.FAILED, time.time() - started, (f"error: {error}",))
    failed = result.outcome is Outcome.FAILED
    publish(stage, workspace.root, not_before=started if failed else 0.0)
    # States instead of exceptions: a traceback of this file tells nobody why a stage failed.
    if failed:
        return Failed(message="\n".join([f"{stage} failed:", *result.last_lines]))
    return Completed(name=result.outcome.capitalize(), message=str(result), data=result)


@flow(name="pipeline", persist_result=False)
def pipeline(
    stages: list[str] | None = None,
    force: bool = False,
    overrides: dict[str, Any] | None = None,
    time_limit: Annotated[float, Field(gt=0)] | None = None,
) -> State[Any]:
    """Run the stages of the current directory's `dvc.yaml` that are not up to date, one after the other.

    Args:
        stages: which of them, all if not given. Earlier stages are then taken as they are.
        force: run them in any case.
        overrides: dotted keys of `params.yaml` and new values, written into it as `dvc exp run -S` does.
        time_limit: seconds for each stage.
    """
    logger = get_run_logger()
    workspace = Workspace(Path.cwd())
    try:
        selected = check(workspace, stages, overrides or {}, time_limit)
        with workspace.lock(logger.info):
            for key, value in (overrides or {}).items():
                logger.info("Writing %s: %s into params.yaml", key, value)
            if overrides:
                parameters.write(workspace.root / "params.yaml", overrides)
            return _run_all(workspace, selected, force, time_limit)
    except (RequestError, WorkspaceError, parameters.ParameterError) as error:
        return Failed(message=f"error: {error}")


def check(
    workspace: Workspace,
    stages: Sequence[str] | None,
    overrides: Mapping[str, object],
    time_limit: float | None,
) -> list[str]:
    """Check a request before any work; return the stages to run, in the order of `dvc.yaml`.

    Raises:
        RequestError: a stage is unknown, or the time limit is not positive.
        WorkspaceError: `dvc.yaml` cannot be read.
        digits.parameters.ParameterError: `params.yaml` or an override is not valid.
    """
    if time_limit is not None and not 0 < time_limit < float("inf"):
        raise RequestError(f"the time limit is {time_limit:g}, but must be a positive number of seconds")
    # First, for DVC reads params.yaml with dvc.yaml, and says less of what is wrong in it.
    parameters.read(workspace.root / "params.yaml", overrides)
    names = workspace.stage_names()
    unknown = [stage for stage in stages or [] if stage not in names]
    if unknown:
        raise RequestError(f"unknown stage {', '.join(unknown)}; there are {', '.join(names)}")
    return [name for name in names if stages is None or name in stages]


def _run_all(workspace: Workspace, stages: list[str], force: bool, time_limit: float | None) -> State[Any]:
    results: list[StageResult] = []
    for stage in stages:
        run = run_stage.with_options(name=stage, task_run_name=stage)
        state: Any = run(workspace, stage, force, time_limit, return_state=True)
        if not state.is_completed():
            return Failed(message=state.message)
        results.append(state.result())
    stale = workspace.stale(stages)
    if stale:
        return Failed(message=f"error: changed while the pipeline ran: {', '.join(stale)}; run it again")
    message = ", ".join(f"{result.stage} {result.outcome}" for result in results)
    return Completed(message=message, data=results)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def _override(text: str) -> tuple[str, object]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    try:
        return key, YAML(typ="safe").load(value)
    except YAMLError:
        raise argparse.ArgumentTypeError(f"{text!r}: the value is not valid YAML") from None


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="python -m flows.pipeline", description="Run the stages that are not up to date.")
    parser.add_argument(
        "--stages", nargs="+", metavar="STAGE", help="only these, given earlier ones as they are"
    )
    parser.add_argument("--force", action="store_true", help="run stages that are up to date, too")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        type=_override,
        default=[],
        metavar="KEY=VALUE",
        help="change params.yaml, such as train.epochs=1; may be repeated",
    )
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="for each stage")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns 0, 1 where the pipeline failed, 2 where the request is not possible."""
    arguments = _arguments(argv)
    overrides = dict(arguments.overrides)
    root = Path.cwd()
    try:
        workspace = Workspace(root)
        selected = check(workspace, arguments.stages, overrides, arguments.time_limit)
        workspace.stale(selected)  # a question that a broken dvc.lock does not answer
    except (RequestError, WorkspaceError, parameters.ParameterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # Exit instead of the sudden death that is the default, so that an embedded server is stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if EMBEDDED:
            # Its address is of no use to a person: it has no pages, and is gone after the run.
            logging.getLogger("prefect.flow_runs").addFilter(
                lambda r: not r.getMessage().startswith("View at ")
            )
            EMBEDDED.wait(PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value())
        state: State[Any] = pipeline(
            arguments.stages, arguments.force, overrides, arguments.time_limit, return_state=True
        )
    except ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (RuntimeError, httpx.HTTPError) as error:
        print(f"error: Prefect: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    if not state.is_completed():
        print(state.message, file=sys.stderr)
        return 1
    print(f"\n{summary(state.result(), root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
