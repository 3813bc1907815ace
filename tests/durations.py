"""How long tests take, by the last `make test ARGS=--write-durations`: what comes first, and what is long.

Renew it when one process still works for long after the others, or `make test-quick` takes over 90 seconds.
"""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")
LONG_SECONDS = 0.4
SPLIT = {
    "tests/flows/test_command_line.py",
    "tests/flows/test_containers.py",
    "tests/flows/test_deployment.py",
    "tests/flows/test_interruptions.py",
    "tests/flows/test_pipeline.py",
    "tests/stages/test_real_mnist.py",
    "tests/stages/test_small_mnist.py",
    "tests/test_image.py",
}
"""Modules whose tests may go to different processes: what is costly in them is shared by all processes."""


@dataclass
class Durations:
    """Of a run of all tests."""

    units: dict[str, int] = field(default_factory=dict)
    """Seconds of what is given to a process as a whole."""
    long: list[str] = field(default_factory=list)
    """Tests that take LONG_SECONDS or more, for some of their values at least."""


def unit_of(nodeid: str) -> str:
    """What is given to a process as a whole: a module, or a test of one that may be split."""
    module = nodeid.partition("::")[0]
    return nodeid if module in SPLIT else module


def name_of(nodeid: str) -> str:
    """A test or a unit without the values of a test, for which it takes about the same time."""
    return nodeid.partition("[")[0]


def read() -> Durations:
    return Durations(**json.loads(FILE.read_text())) if FILE.exists() else Durations()


def write(seconds: dict[str, float]) -> None:
    """Write what tests with these IDs took; the slowest come first."""
    units: dict[str, float] = defaultdict(float)
    for nodeid, taken in seconds.items():
        units[unit_of(nodeid)] += taken
    values: dict[str, list[float]] = defaultdict(list)
    for unit, taken in units.items():
        values[name_of(unit)].append(taken)
    averages = {name: round(sum(taken) / len(taken)) for name, taken in values.items()}
    order = sorted(averages, key=lambda name: (-averages[name], name))
    long = sorted({name_of(nodeid) for nodeid, taken in seconds.items() if taken >= LONG_SECONDS})
    found = Durations({name: averages[name] for name in order}, long)
    FILE.write_text(json.dumps(asdict(found), indent=1) + "\n")
