"""The sweep: many trainings with other values, compared. `python -m flows.sweep --help`."""

import os
import sys
import tempfile

from prefect_dvc.server import EmbeddedServer
from prefect_dvc.settings import server_is_configured

EMBEDDED: EmbeddedServer | None = None
if __name__ == "__main__" and not {"-h", "--help"} & set(sys.argv) and not server_is_configured():
    # Here, so that it starts while all that follows is imported.
    EMBEDDED = EmbeddedServer()
    os.environ |= EMBEDDED.settings

# ruff: noqa: E402
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from digits.common.errors import DigitsError
from digits.parameters import schema as parameters
from digits.sweeps import plan as sweep_plan
from digits.sweeps import results as sweep_results
from digits.sweeps.plan import Plan, PlanError, Point
from digits.sweeps.results import Row, Summary
from flows.trials import RAW, Resources, ended, trials
from flows.workspace import workspace_of
from prefect_dvc.artifacts import publish_picture
from prefect_dvc.command import Parser, run

PLANS = Path("sweeps")
RESULTS = Path("sweeps/results")


@flow(name="sweep", persist_result=False)
def sweep(
    plan: str,
    address: str | None = None,
    cpus_per_trial: Annotated[float, Field(gt=0)] = 1.0,
    gpus_per_trial: Annotated[float, Field(ge=0)] = 0.0,
    write_best: bool = False,
) -> State[Any]:
    """Run the trials of a plan that have not run yet, and write tables and curves of all.

    Args:
        plan: a file of `sweeps/`, by its name; results go to `sweeps/results/` and this name.
        address: of a Ray cluster; without one, Ray runs on this machine, as long as the sweep.
        cpus_per_trial: how many of Ray's CPUs a trial takes.
        gpus_per_trial: likewise; 0.1 lets ten trials share a GPU. Without any, a trial sees none.
        write_best: put the values of the best point into `params.yaml`, of those that completed all trials.
    """
    resources = Resources(address, cpus_per_trial, gpus_per_trial)
    try:
        chosen, points = prepare(plan, resources)
    except DigitsError as error:
        return Failed(message=_error(error))
    folder = RESULTS / plan
    rows = ended(chosen, points, folder, resources)
    if rows is None:
        run_all = trials.with_options(task_runner=resources.task_runner)
        state: State[Any] = run_all(chosen, points, folder, resources, return_state=True)
        if not state.is_completed():
            return Failed(message=_error(state.message))
        rows = state.result()
    summaries = sweep_results.summarize(rows, chosen.baseline)
    _report(chosen, rows, summaries, folder)
    if not (summaries and summaries[0].whole):
        lack = (
            f"no point has completed all its trials, so there is none to choose; {folder}/trials.csv says why"
        )
        return Failed(message=_error(lack))
    if write_best:
        _write(summaries[0].point, chosen.seeds[0], resources)
    return Completed(message=f"{len(rows)} trials; {folder} has the tables", data=summaries)


def prepare(name: str, resources: Resources) -> tuple[Plan, list[Point]]:
    """Check everything before any work.

    Raises:
        PlanError: there is no such plan, it is not possible, or there are no images.
        ResourceError: a point needs a GPU, and trials take none.
    """
    plan = sweep_plan.read(sweep_plan.find(PLANS, name))
    points = sweep_plan.lay_out(plan, Path("params.yaml"))
    for point in points:
        resources.placed(point.parameters)
    if not RAW.is_dir():
        raise PlanError(f'{RAW} is missing; run: make pipeline ARGS="--stages download"')
    folder = RESULTS / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise PlanError(f"{folder}, where results go: {error.strerror}") from None
    return plan, points


def _report(plan: Plan, rows: Sequence[Row], summaries: Sequence[Summary], folder: Path) -> None:
    from digits.evaluation import pictures  # loads matplotlib

    sweep_results.write_tables(folder, rows, summaries)
    picture = folder / "learning-curves.png"
    pictures.learning_curves(sweep_results.curves(rows, summaries), picture)
    table = [*map(sweep_results.table_row, summaries)]
    create_table_artifact(table, key="sweep", description=plan.about)
    publish_picture(picture, "learning-curves", "Accuracy on the validation images after each epoch")


def _write(best: Point, seed: int, resources: Resources) -> None:
    log, root = get_run_logger().info, Path.cwd()
    with workspace_of(root).lock(log):
        changed = parameters.write(root / "params.yaml", {**best.overrides, "train.seed": seed})
    for key, value in changed.items():
        log(f"params.yaml has {key}: {value} now")
    device = resources.placed(best.parameters).train.device
    log(
        "`dvc repro` trains with the values of %s; on %s, its numbers are those of the sweep",
        best.label,
        device,
    )


def _error(error: object) -> str:
    return "\n".join(f"error: {line}" for line in str(error).splitlines())


def _table(summaries: Sequence[Summary]) -> str:
    head = ("on the validation images", "accuracy", "seeds", "difference", "p")
    lines = ["{:<36} {:>15} {:>5} {:>11} {:>6}".format(*head)]
    for s in summaries:
        worth = "failed" if s.mean is None else f"{s.mean:.2%} ± {s.deviation or 0:.2%}"
        against = "" if s.difference is None else f"{s.difference:+.2%}"
        p = "" if s.p is None else f"{s.p:.2g}"
        lines.append(f"{s.point.label:<36} {worth:>15} {s.seeds:>5} {against:>11} {p:>6}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns 0, 1 where the sweep failed, 2 where the request is not possible."""
    parser = Parser(prog="python -m flows.sweep", description=__doc__)
    parser.add_argument("plan", help="a file of sweeps/, by its name")
    parser.add_argument("--address", help="of a Ray cluster, such as ray://head:10001")
    parser.add_argument("--cpus-per-trial", type=float, default=1.0, metavar="NUMBER")
    parser.add_argument("--gpus-per-trial", type=float, default=0.0, metavar="NUMBER", help="such as 0.1")
    parser.add_argument("--write-best", action="store_true", help="put the best values into params.yaml")
    arguments = vars(parser.parse_args(argv))
    try:
        takes = (arguments[f"{name}_per_trial"] for name in ("cpus", "gpus"))
        prepare(arguments["plan"], Resources(arguments["address"], *takes))
    except DigitsError as error:
        print(_error(error), file=sys.stderr)
        return 2
    state = run(lambda: sweep(**arguments, return_state=True), EMBEDDED)
    if isinstance(state, int):
        return state
    print(f"\n{_table(state.result())}\n{state.message}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
