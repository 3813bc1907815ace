"""Inputs that a target is given, each in bounded time and memory; what is found is kept."""

import hashlib
import resource
import signal
import time
import warnings
from pathlib import Path

from tests.fuzz.targets import Target, describe

SECONDS = 10  # that an input may take
MEMORY = 6 * 2**30  # of addresses, most of which PyTorch takes for itself
ENOUGH = 10  # different findings


class TooLong(BaseException):
    """An input takes too long."""


def _too_long(*_: object) -> None:
    raise TooLong


def limit() -> None:
    """Bound what an input may take in this process."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


class Attempts:
    """So many `runs` of a target, or fewer, where enough is found."""

    def __init__(self, name: str, target: Target, runs: int, seeds: Path) -> None:
        """`seeds` is the folder for what is found, a folder for each target."""
        self.name, self.target, self.runs = name, target, runs
        self.found: set[str] = set()
        self._folder = seeds / name
        self._began, self._slowest, self._done = time.monotonic(), 0.0, 0

    @property
    def at_end(self) -> bool:
        return self._done >= self.runs or len(self.found) >= ENOUGH

    def give(self, data: bytes) -> None:
        self._done += 1
        signal.alarm(SECONDS)
        start = time.monotonic()
        try:
            finding = self.target.finding(data)
        except TooLong:
            finding = f"no end after {SECONDS} seconds"
        signal.alarm(0)
        self._slowest = max(self._slowest, time.monotonic() - start)
        if finding and (kind := finding[:60]) not in self.found:
            self.found.add(kind)
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
            print(f"{self.name}: {finding}\n  {describe(data)}", flush=True)

    def __str__(self) -> str:
        seconds = time.monotonic() - self._began
        return (
            f"{self.name}: {self._done:,} inputs in {seconds:.0f} s, the slowest {self._slowest:.2f} s; "
            f"{len(self.found)} findings"
        )
