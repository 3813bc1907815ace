"""Many inputs for each target: `make fuzz`. What is found is kept in tests/fuzz/seeds, for the tests."""

import argparse
import hashlib
import random
import resource
import signal
import sys
import time
import warnings

from tests.fuzz.engine import changed
from tests.fuzz.targets import SEEDS, TARGETS, describe, kept

SECONDS = 10  # that an input may take
MEMORY = 6 * 2**30  # of addresses, most of which PyTorch takes for itself


class TooLong(BaseException):
    """An input takes too long."""


def _too_long(*_: object) -> None:
    raise TooLong


def fuzz(name: str, runs: int, seed: int, enough: int = 10) -> int:
    """Give a target so many inputs; return the number of different findings, at most `enough`."""
    target, chance = TARGETS[name], random.Random(f"{name} {seed}")
    seeds = [*target.seeds(), *(path.read_bytes() for path in kept(name))]
    found: dict[str, bytes] = {}
    began, slowest, done = time.monotonic(), 0.0, 0
    while done < runs and len(found) < enough:
        done += 1
        data = changed(chance, seeds, target.words)
        signal.alarm(SECONDS)
        start = time.monotonic()
        try:
            finding = target.finding(data)
        except TooLong:
            finding = f"no end after {SECONDS} seconds"
        signal.alarm(0)
        slowest = max(slowest, time.monotonic() - start)
        if finding and (kind := finding[:60]) not in found:
            found[kind] = data
            folder = SEEDS / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
            print(f"{name}: {finding}\n  {describe(data)}", flush=True)
    seconds = time.monotonic() - began
    print(f"{name}: {done:,} inputs in {seconds:.0f} s, the slowest {slowest:.2f} s; {len(found)} findings")
    return len(found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - TARGETS.keys():
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print(f"again: --seed {arguments.seed}")
    return min(1, sum(fuzz(name, arguments.runs, arguments.seed) for name in arguments.targets or TARGETS))


if __name__ == "__main__":
    sys.exit(main())
