"""The command line: `prefect-dvc --help`, or `python -m prefect_dvc --help`."""

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_dvc.command import Parser, add_run_options, run
from prefect_dvc.server import EmbeddedServer
from prefect_dvc.settings import server_is_configured

if TYPE_CHECKING:
    from rich.tree import Tree

    from prefect_dvc.lineage import Made
    from prefect_dvc.plan import Planned
    from prefect_dvc.transcript import StageResult


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0; 1 where a run has failed; 2 where another command cannot do what it is asked."""
    arguments = vars(_arguments(argv))
    command: Callable[..., int] = arguments.pop("command")
    try:
        return command(**arguments)
    except BrokenPipeError:  # whoever reads has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="prefect-dvc", description="Any DVC project under Prefect.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    stages = commands.add_parser("run", help="run the stages that are not up to date")
    stages.set_defaults(command=_run)
    plan = commands.add_parser("plan", help="say which stages would run and why, and run none")
    plan.set_defaults(command=_plan)
    for each in (stages, plan):
        each.add_argument("targets", nargs="*", metavar="TARGET", help="stages; without any, dvc.yaml")
        each.add_argument("-P", "--all-pipelines", action="store_true", help="all of the repository")
        each.add_argument("-s", "--single-item", action="store_true", help="not what they depend on")
    stages.add_argument("-f", "--force", action="store_true", help="run stages that are up to date, too")
    add_run_options(stages)
    stages.add_argument(
        "--limit",
        dest="limits",
        action="append",
        type=_limit,
        default=[],
        metavar="NAME=AMOUNT",
        help="of what stages take while they work, such as gpu=1",
    )
    lineage = commands.add_parser("lineage", help="say what made an output: stages, inputs, runs")
    lineage.set_defaults(command=_lineage)
    lineage.add_argument("target", metavar="OUTPUT", help="a path, as in dvc.yaml")
    report = commands.add_parser("report", help="what differs from another commit, as Markdown")
    report.set_defaults(command=_report)
    report.add_argument("target", nargs="?", default="HEAD", metavar="COMMIT", help="such as origin/main")
    report.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write it")
    for each in (plan, lineage):
        each.add_argument("--json", dest="as_json", action="store_true", help="as JSON")
    strict = commands.add_parser("strict", help="have the server refuse unknown parameters of deployments")
    strict.set_defaults(command=_strict)
    strict.add_argument("names", nargs="+", metavar="FLOW/DEPLOYMENT")
    restore = commands.add_parser("restore", help="put back the outputs that dvc.lock records")
    restore.set_defaults(command=_restore)
    template = commands.add_parser("template", help="write the job template of a work pool")
    template.set_defaults(command=_template)
    template.add_argument("kind", choices=["docker", "kubernetes"], help="of the pool")
    template.add_argument("image", metavar="IMAGE", help="with the project's packages, this one and git")
    return parser.parse_args(argv)


def _limit(text: str) -> tuple[str, float]:
    name, _, amount = text.partition("=")
    with suppress(ValueError):
        if name and 0 <= float(amount) < inf:
            return name, float(amount)
    raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=AMOUNT")


def _run(limits: list[tuple[str, float]], pools: list[tuple[str, str]], **options: Any) -> int:
    gc.disable()  # until the flow begins: all that is loaded stays
    embedded = None
    if not server_is_configured():
        embedded = EmbeddedServer()  # starts while the rest is loaded
        os.environ |= embedded.settings
    from prefect_dvc import idle
    from prefect_dvc.locking import BusyError
    from prefect_dvc.project import ProjectError, Stage
    from prefect_dvc.workspace import Workspace

    parameters = options | {"limits": dict(limits), "pools": dict(pools)}
    workspace, stages, up_to_date, nothing_follows = Workspace(Path.cwd()), list[Stage](), False, False
    # The flow waits, or says what is wrong.
    with suppress(BusyError, ProjectError), workspace.alone():
        chosen = {name: options[name] for name in ("targets", "all_pipelines", "single_item")}
        stages = workspace.project.stages(**chosen)
        up_to_date = bool(stages) and not options["force"] and workspace.project.up_to_date(stages)
        nothing_follows = up_to_date and idle.nothing_follows(workspace.project, parameters)
    if nothing_follows and (results := idle.tell("repro", parameters, stages, embedded)):
        return _listed(results)
    from prefect_dvc.flow import repro  # loads Prefect

    with nullcontext() if up_to_date else workspace.load_ahead():
        state = run(lambda: repro(**parameters, return_state=True), embedded)
    if isinstance(state, int):
        return state
    print()
    return _listed(state.result())


def _listed(results: "Sequence[StageResult]") -> int:
    for result in results:
        print(f"{result.seconds:8.1f} s  {result.outcome:20}  {result.stage}")
    return 0


def _plan(as_json: bool, targets: list[str], **selection: bool) -> int:
    from prefect_dvc.plan import plan, tree
    from prefect_dvc.project import Project, ProjectError

    try:
        project = Project(Path.cwd(), _say)
        planned = plan(project, project.stages(targets, **selection))
    except ProjectError as error:
        return _failed(error)
    return _show(planned, as_json, lambda: tree(planned, Path.cwd().name))


def _lineage(as_json: bool, target: str) -> int:
    from prefect_dvc.lineage import lineage, tree
    from prefect_dvc.project import Project, ProjectError

    try:
        found = lineage(Project(Path.cwd(), _say), target)
    except ProjectError as error:
        return _failed(error)
    return _show(found, as_json, lambda: tree(found, target))


def _report(target: str, output: Path | None) -> int:
    from prefect_dvc.project import Project, ProjectError
    from prefect_dvc.report import report

    try:
        text = report(Project(Path.cwd(), _say), target, output.absolute().parent if output else Path.cwd())
        if output:
            output.write_text(text, encoding="utf-8")
    except (ProjectError, OSError) as error:
        return _failed(error)
    if not output:
        print(text, end="")
    return 0


def _strict(names: list[str]) -> int:
    import httpx

    from prefect_dvc.deployments import DeploymentError, refuse_unknown

    try:
        refuse_unknown(names)
    except (DeploymentError, httpx.HTTPError) as error:
        return _failed(error)
    return 0


def _restore() -> int:
    from prefect_dvc.restore import command
    from prefect_dvc.workspace import Workspace

    return command(Workspace(Path.cwd(), tell=_say))


def _template(kind: str, image: str) -> int:
    template = json.loads((Path(__file__).parent / "templates" / f"{kind}.json").read_text(encoding="utf-8"))
    template["variables"]["properties"]["image"]["default"] = image
    print(json.dumps(template, indent=2))
    return 0


def _show(found: "Sequence[Planned | Made]", as_json: bool, tree: "Callable[[], Tree]") -> int:
    if as_json:
        print(json.dumps([each.as_json() for each in found], indent=2, default=str))
        return 0
    from rich.console import Console

    Console(width=10_000).print(tree())  # the terminal breaks lines; narrower, rich would cut them
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _failed(error: Exception) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
