"""See where time goes, in a browser and offline: `make profile`.

Into reports/profile/, for the training step and for the whole job:

- flame graphs (`step.svg`, `job.svg`), which any browser opens: a bar is a function, as wide as the share of
  the samples in which it was at work. A click enlarges one;
- traces (`step.json`, `job.json`), for the page chrome://tracing of Chromium or Chrome, which is built in:
  what each process and each thread does, and when. That of the step has every operator of PyTorch;
- `index.html`, which leads to them.

py-spy takes the samples, from outside: of the job in every process below the flow, hence also of the server
and of DVC. The job runs twice, as only one kind of record is taken at a time.
"""

import argparse
import html
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import project
from benchmarks.options import require_parts
from benchmarks.project import PYTHON, ROOT, BenchError
from benchmarks.report import machine
from digits.common.errors import DigitsError

FOLDER = ROOT / "reports/profile"
PY_SPY = Path(PYTHON).with_name("py-spy")
KINDS = {"svg": "flamegraph", "json": "chrometrace"}
RATES = {"step": 500, "job": 100}  # samples a second
STEPS, EPOCHS = 20, 10
ABOUT = {
    "step.svg": "The training loop as a flame graph: functions of Python, and what they spend",
    "step.json": f"{STEPS} steps as a trace: every operator of PyTorch",
    "job.svg": "The whole job as a flame graph: all processes",
    "job.json": "The whole job as a trace: which process does what, and when",
}


CALL = """
import subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(code))
sys.exit(code)
"""
"""py-spy itself ends well with a program that fails, if it has seen something of it before."""


def record(
    kind: str, rate: int, command: Sequence[str], target: Path, folder: Path, environment: dict[str, str]
) -> None:
    """Run `command` and write where its processes spent their time.

    Raises:
        BenchError: it fails, or cannot be looked into.
    """
    spy = [str(PY_SPY), "record", "--subprocesses", "--format", KINDS[kind], "--rate", str(rate)]
    with tempfile.NamedTemporaryFile("r") as code:
        spy += ["--output", str(target), "--", PYTHON, "-c", CALL, code.name, *command]
        done = subprocess.run(spy, cwd=folder, env=environment, capture_output=True, text=True)
        ended = code.read() or "nothing"
    if done.returncode or ended != "0" or not target.exists():
        said = f"{done.stdout}{done.stderr}"
        raise BenchError(f"{' '.join(command)} ended with {ended} under py-spy:\n{said}")


def trace_step(target: Path) -> None:
    """Some steps, by PyTorch's own profiler."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from torch.profiler import ProfilerActivity, profile

    from benchmarks import step

    values = step.values()
    epoch = step.epoch(values, step.examples(STEPS * values.train.batch_size))
    epoch()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        epoch()
    profiler.export_chrome_trace(str(target))


def run_loop() -> None:
    """What the flame graph of the step is of."""
    from benchmarks import step

    epoch = step.epoch(step.values(), step.examples())
    for _ in range(EPOCHS):
        epoch()


def profile_step(folder: Path) -> None:
    trace_step(folder / "step.json")
    command = [PYTHON, "-c", "from benchmarks import profiling; profiling.run_loop()"]
    record("svg", RATES["step"], command, folder / "step.svg", ROOT, dict(os.environ))


def profile_job(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="profile-") as name:
        environment, workspace = project.environment(Path(name, "prefect")), Path(name, "workspace")
        project.clone(workspace)
        for kind in KINDS:
            project.forget(workspace)
            job = [PYTHON, "-m", "flows", "--force"]
            record(kind, RATES["job"], job, folder / f"job.{kind}", workspace, environment)


def page(names: Sequence[str]) -> str:
    """A page that leads to these files; it loads nothing."""
    items = "\n".join(f'<li><a href="{name}">{name}</a>: {html.escape(ABOUT[name])}</li>' for name in names)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Profile</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}</style>
<h1>Where the time goes</h1>
<p>{html.escape(machine())}</p>
<ul>
{items}
</ul>
<p>The flame graphs open in this browser; a click on a bar enlarges it. For the traces, open
<code>chrome://tracing</code> in Chromium or Chrome, press <em>Load</em> and choose the file. Nothing of this
needs a network.</p>
</html>
"""


PARTS = {"step": profile_step, "job": profile_job}


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 1 where something cannot be profiled."""
    parser = argparse.ArgumentParser(prog="make profile", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; both if not given")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files go")
    chosen = parser.parse_args(argv)
    require_parts(parser, chosen.parts, PARTS)
    folder: Path = chosen.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if not PY_SPY.exists():
            raise BenchError(f"{PY_SPY} is missing; `make setup` installs py-spy")
        for name in chosen.parts or PARTS:
            print(f"profiling the {name}", file=sys.stderr, flush=True)
            PARTS[name](folder)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    (folder / "index.html").write_text(page([name for name in ABOUT if (folder / name).exists()]))
    print(f"open {folder / 'index.html'} in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
