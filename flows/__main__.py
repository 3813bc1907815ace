"""The pipeline at the command line: `python -m flows --help`."""

import gc
import os
import sys

from prefect_dvc.server import EmbeddedServer
from prefect_dvc.settings import server_is_configured

if __name__ == "__main__":
    gc.disable()  # until the flow begins: all that is loaded stays

EMBEDDED: EmbeddedServer | None = None
if __name__ == "__main__" and not {"-h", "--help"} & set(sys.argv) and not server_is_configured():
    # Here, so that it starts while all that follows is imported.
    EMBEDDED = EmbeddedServer()
    os.environ |= EMBEDDED.settings

# ruff: noqa: E402
import argparse
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from digits.common.parameters_file import ParameterError
from digits.common.text import shown
from digits.common.yaml_text import YamlError, parse
from flows.release import is_published
from flows.request import RequestError, check, containers, with_recipe
from flows.summary import summary
from flows.workspace import model_of, workspace_of
from prefect_dvc import idle
from prefect_dvc.command import Parser, add_run_options, interrupted, run
from prefect_dvc.locking import BusyError
from prefect_dvc.project import ProjectError, Stage
from prefect_dvc.workspace import Workspace


def _override(text: str) -> tuple[str, object]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not of the form KEY=VALUE")
    try:
        return key, parse(value)
    except YamlError:
        raise argparse.ArgumentTypeError(f"{shown(text)}: the value is not valid YAML") from None


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="python -m flows", description="Run the stages that are not up to date.")
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
    parser.add_argument("--recipe", help="write its values into params.yaml; a name in recipes/")
    add_run_options(parser)
    parser.add_argument("--runner", choices=["process", "docker"], default="process", help="of stages")
    parser.add_argument("--image", default="digits:latest", help="with --runner docker")
    parser.add_argument("--memory", metavar="SIZE", help="of each container, such as 4g")
    parser.add_argument("--cpus", type=float, metavar="NUMBER", help="for each container, such as 1.5")
    return parser.parse_args(argv)


def _nothing_follows(workspace: Workspace, stages: Sequence[Stage], arguments: Mapping[str, object]) -> bool:
    """Whether there is nothing to fetch, push, commit or publish where no stage is to be run."""
    if not idle.nothing_follows(workspace.project, arguments):
        return False
    model = model_of(workspace.project) if stages == workspace.project.own else None
    return model is None or is_published(workspace.folder, model)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns 0, 1 where the pipeline failed, 2 where the request is not possible."""
    arguments = vars(_arguments(argv))
    for name in ("overrides", "pools"):
        arguments[name] = dict(arguments[name])
    try:
        limits = (arguments[name] for name in ("runner", "image", "memory", "cpus"))
        workspace = workspace_of(Path.cwd(), containers(*limits))
        workspace.mend(print)
        overrides = with_recipe(workspace.folder, arguments["recipe"], arguments["overrides"])
        stages = check(workspace, arguments["stages"], overrides, arguments["time_limit"])
    except (RequestError, ProjectError, ParameterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    up_to_date = nothing_follows = False
    # The flow waits, or says what is wrong.
    with suppress(BusyError, ProjectError, OSError), workspace.alone():
        up_to_date = not (arguments["force"] or overrides) and workspace.project.up_to_date(stages)
        nothing_follows = up_to_date and _nothing_follows(workspace, stages, arguments)
    if nothing_follows and (results := idle.tell("pipeline", arguments, stages, EMBEDDED)):
        print(summary(results, workspace.folder))
        return 0
    from flows.pipeline import pipeline  # loads Prefect

    with nullcontext() if up_to_date else workspace.load_ahead():
        state = run(lambda: pipeline(**arguments, return_state=True), EMBEDDED)
    if isinstance(state, int):
        return state
    print(f"\n{summary(state.result(), workspace.folder)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(interrupted())
