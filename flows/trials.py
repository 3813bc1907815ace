"""The trials of a sweep: each a Prefect task in a process of Ray."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import as_completed
from prefect.states import Completed, Failed
from prefect_ray import RayTaskRunner
from prefect_ray.context import remote_options

import digits
from digits.common.about import About
from digits.common.errors import DigitsError
from digits.common.files import DROPPINGS, code_files, code_sha256, sha256
from digits.data import raw
from digits.data.sections import Normalize
from digits.parameters.schema import Parameters
from digits.sweeps import results as sweep_results
from digits.sweeps.plan import Plan, Point
from digits.sweeps.results import Row
from digits.training.sections import NO_TEACHER, TrainingValues

RAW = Path("data/raw")
TEACHERS = Path("teachers")
SENT = ("digits", "stages", "flows", "teachers", "prefect.toml")
"""What of this folder trials on other machines need; nothing else leaves it, whatever lies there."""
# In the language of .gitignore, where a later pattern wins. The folder itself is `.`, which `/*` takes in.
NOT_SENT = ["/*", "!/.", *(f"!/{name}" for name in SENT), *DROPPINGS]
# Without it, a trial that takes no GPU sees all that the process that started Ray did.
HIDE_GPUS = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}
FEW = 512 * 2**20  # bytes of shared memory: the training images take 47 MB


class ResourceError(DigitsError, ValueError):
    """A trial takes more than any machine of the Ray has."""


@dataclass(frozen=True)
class Resources:
    """Where trials run, and what each of them takes."""

    address: str | None = None
    """Of a Ray cluster; without one, Ray runs on this machine alone, as long as the sweep."""
    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def task_runner(self) -> RayTaskRunner[Any]:
        if self.address:
            # What DVC keeps is in .gitignore, a teacher for one; it is sent all the same.
            os.environ["RAY_RUNTIME_ENV_IGNORE_GITIGNORE"] = "1"
            sent = {"working_dir": ".", "excludes": NOT_SENT, "env_vars": HIDE_GPUS}
            return RayTaskRunner(self.address, {"runtime_env": sent, "log_to_driver": False})
        os.environ |= HIDE_GPUS
        # Ray reads it when it is loaded, on Linux, too, and then listens on the loopback address alone.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        # Else it would join whatever Ray runs on this machine already.
        here = {"address": "local", "include_dashboard": False, "object_store_memory": FEW}
        return RayTaskRunner(init_kwargs={**here, "log_to_driver": False})

    def placed(self, values: Parameters) -> Parameters:
        """With `train.device` as it will be: `auto` must not mean now this, now that under one key.

        Raises:
            ResourceError: a GPU is asked for, and trials take none.
        """
        if values.train.device == "cuda" and not self.gpus:
            raise ResourceError(
                "train.device is 'cuda', but a trial takes 0 GPUs; give --gpus-per-trial, or set auto or cpu"
            )
        device = "cuda" if self.gpus and values.train.device != "cpu" else "cpu"
        return values.model_copy(update={"train": values.train.model_copy(update={"device": device})})

    def check(self, nodes: Sequence[dict[str, Any]]) -> None:
        """Ray waits for ever for what no machine has: refused here, told of a cluster, which may grow."""
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        if any(has.get("CPU", 0) >= self.cpus and has.get("GPU", 0) >= self.gpus for has in alive):
            return
        most = ", ".join(f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs" for has in alive)
        lack = f"a trial takes {self.cpus:g} CPUs and {self.gpus:g} GPUs; there are {most}"
        if not self.address:
            raise ResourceError(lack)
        get_run_logger().warning("%s; the trials wait for a machine that has them", lack)


@task(name="trial", cache_policy=NO_CACHE, persist_result=False)
def trial(values: dict[str, Any], images: Any, labels: Any, about: str) -> dict[str, object]:
    """One training; what became of it, as `stages.trial.run` says it."""
    # Only here, in a process of Ray: they load torch.
    from digits.data.datasets import Dataset
    from stages.trial import run

    try:
        normalize = Normalize.model_validate(values[Normalize.key])
        what = About.parse(about, RAW)
        return run(TrainingValues.of(values), normalize, Dataset(images, labels), what)
    except DigitsError as error:
        return {"status": "failed", "reason": str(error), "curve": [], "kept": None}


@flow(name="trials", persist_result=False, validate_parameters=False)
def trials(plan: Plan, points: Sequence[Point], folder: Path, resources: Resources) -> State[list[Row]]:
    """Run a plan; what ended in an earlier sweep is taken from `folder`, where everything is kept at once."""
    try:
        return Completed(
            data=_rows(plan, points, _Batch(folder, resources, _data(), _sent(points, resources)))
        )
    except DigitsError as error:
        return Failed(message=str(error))


def ended(plan: Plan, points: Sequence[Point], folder: Path, resources: Resources) -> list[Row] | None:
    """The same where all trials ended in an earlier sweep, without Ray; None where one is missing."""
    try:
        return _rows(plan, points, _Batch(folder, resources, _data(), None))
    except _MissingError:
        return None


class _MissingError(Exception):
    """A trial has not run yet."""


def _sent(points: Sequence[Point], resources: Resources) -> dict[str, Any]:
    """What all trials train on; once, for all machines."""
    import ray  # only now, for it reads the environment that `Resources` makes

    resources.check(ray.nodes())  # type: ignore[no-untyped-call]
    about = raw.read_about(RAW)
    for point in points:
        about.require(point.parameters.data.set, RAW)
    images, labels = raw.read(RAW, raw.TRAIN, about)
    return {"images": ray.put(images), "labels": ray.put(labels), "about": about.text}


def _rows(plan: Plan, points: Sequence[Point], batch: "_Batch") -> list[Row]:
    if not plan.tune_seeds:
        return batch.run(points, plan.seeds, tuning=False)
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point.configuration, []).append(point)
    several = [point for group in groups.values() if len(group) > 1 for point in group]
    tuned = batch.run(several, plan.tune_seeds, tuning=True)
    chosen = []
    for name, group in groups.items():
        best = (
            sweep_results.best([row for row in tuned if row.point in group]) if len(group) > 1 else group[0]
        )
        if best:
            chosen.append(best)
        else:
            get_run_logger().warning("%s is left out: none of its choices completed all its trials", name)
    return tuned + batch.run(chosen, plan.seeds, tuning=False)


@dataclass(frozen=True)
class _Batch:
    folder: Path
    resources: Resources
    identity: dict[str, str]
    sent: dict[str, Any] | None
    """None where no trial may run."""

    def run(self, points: Sequence[Point], seeds: Sequence[int], tuning: bool) -> list[Row]:
        """Rows in the order of points and seeds; a line in the log for each as it ends."""
        log = get_run_logger().info
        asked = [(point, seed) for point in points for seed in seeds]
        placed = {(point, seed): self.resources.placed(point.with_seed(seed)) for point, seed in asked}
        results: dict[tuple[Point, int], dict[str, Any]] = {}
        waiting = {}
        with remote_options(num_cpus=self.resources.cpus, num_gpus=self.resources.gpus, max_retries=0):
            for (point, seed), values in placed.items():
                path = self.folder / "trials" / f"{key(values, self.identity)}.json"
                if found := sweep_results.load(path):
                    results[point, seed] = found
                    continue
                if self.sent is None:
                    raise _MissingError
                named = trial.with_options(task_run_name=f"{point.label}, seed {seed}")
                waiting[named.submit(values.model_dump(), **self.sent)] = point, seed, path
        if results:
            log("%s of %s trials ended in an earlier sweep", len(results), len(asked))
        for future in as_completed([*waiting]):
            point, seed, path = waiting[future]
            result = _result(future)
            sweep_results.store(path, result)
            results[point, seed] = result
            row = Row(point, seed, tuning, **result)
            said = f"{row.accuracy:.2%}" if row.accuracy is not None else f"{row.status}: {row.reason}"
            log("[%s/%s] %s, seed %s: %s", len(results), len(asked), point.label, seed, said)
        return [Row(point, seed, tuning, **results[point, seed]) for point, seed in asked]


def key(values: Parameters, data: dict[str, str]) -> str:
    """Of everything that decides how a trial ends; `values` are those of `Resources.placed`."""
    used = {"normalize": values.normalize.model_dump(), **values.training.origin}
    if values.train.teacher != NO_TEACHER and (file := TEACHERS / values.train.teacher).exists():
        used["teacher_sha256"] = sha256(file)
    return hashlib.sha256(json.dumps([used, _code(values), data]).encode()).hexdigest()[:16]


def _result(future: Any) -> dict[str, Any]:
    future.wait()
    state: State[Any] = future.state
    if state.is_completed():
        found: dict[str, Any] = future.result()
        return found
    status = "killed" if state.is_crashed() else "failed"
    return {"status": status, "reason": " ".join(str(state.message).split()), "curve": [], "kept": None}


def _code(values: Parameters) -> str:
    root = Path(digits.__file__).parents[1]
    own = [root / "stages/trial.py", root / "stages/train.py", *code_files(root / "digits/data")]
    return code_sha256([*values.training.code, *own], root)


def _data() -> dict[str, str]:
    return {
        "images_sha256": sha256(RAW / "train-images-idx3-ubyte"),
        "labels_sha256": sha256(RAW / "train-labels-idx1-ubyte"),
        "about_sha256": sha256(RAW / raw.ABOUT),
        "torch": version("torch"),
    }
