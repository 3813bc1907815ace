"""Many inputs for each target: `make fuzz`. What is found is kept in tests/fuzz/seeds, for the tests."""

import argparse
import importlib.util
import random
import subprocess
import sys

from tests.fuzz.attempts import Attempts, limit
from tests.fuzz.engine import changed
from tests.fuzz.targets import SEEDS, TARGETS, kept


def by_chance(name: str, runs: int, seed: int) -> bool:
    """Give a target so many inputs; return whether anything was found."""
    target, chance = TARGETS[name], random.Random(f"{name} {seed}")
    seeds = [*target.seeds(), *(path.read_bytes() for path in kept(name))]
    attempts = Attempts(name, target, runs, SEEDS)
    while not attempts.at_end:
        attempts.give(changed(chance, seeds, target.words))
    print(attempts, flush=True)
    return bool(attempts.found)


def by_coverage(name: str, runs: int, seed: int) -> bool:
    """The same, guided by coverage."""
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(runs), str(seed)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        print(f"{name}: the process has ended with {done.returncode}:\n{done.stderr[-2000:]}", flush=True)
    return done.returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--by-chance", action="store_true", help="do not let coverage guide")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - TARGETS.keys():
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    fuzz = by_chance
    if not arguments.by_chance:
        if importlib.util.find_spec("atheris"):
            fuzz = by_coverage
        else:
            print("atheris is not here, so coverage does not guide")
    limit()
    print(f"again: --seed {arguments.seed}", flush=True)
    return max([fuzz(name, arguments.runs, arguments.seed) for name in arguments.targets or TARGETS])


if __name__ == "__main__":
    sys.exit(main())
