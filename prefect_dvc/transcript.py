"""What DVC and a stage say, line by line, and what it tells of how the stage ended."""

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

LAST_LINES = 10
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and cursor movements
WRITES = ("Updating lock file", "Generating lock file")
# What DVC says to a person at a terminal.
HINTS = (
    *WRITES,
    "To track the changes with git, run:",
    "\tgit add ",
    "To enable auto staging, run:",
    "\tdvc config core.autostage",
    "Use `dvc push`",
    "Having any troubles? Hit us up",
)
BUSY = re.compile(r"is busy, it is being blocked by:|Unable to acquire lock")

Log = Callable[[str], None]
KILLED = "error: killed from outside, as the system does to a process when memory runs out"


class Outcome(StrEnum):
    """How a stage ended."""

    RAN = "ran"
    UP_TO_DATE = "up to date"
    RESTORED = "restored from cache"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class StageResult:
    """How a stage ended, after how many seconds, and, where it failed, what it said last."""

    stage: str
    outcome: Outcome
    seconds: float
    last_lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.stage}: {self.outcome}, {self.seconds:.1f} s"


def in_a_line(results: Sequence[StageResult]) -> str:
    """How each stage ended."""
    return ", ".join(f"{result.stage} {result.outcome}" for result in results)


class Transcript:
    """Takes DVC's output line by line, and keeps what tells how it went."""

    def __init__(self, stage: str, log: Log) -> None:
        self.outcome = Outcome.RAN
        self._stage = stage
        self._log = log
        self.begun = False
        """Whether the command of the stage has begun; for a stage, what went before is DVC's own work."""
        self.writes = False
        """Whether DVC has said that it changes dvc.lock, which it says just before."""
        self._lines: deque[str] = deque(maxlen=LAST_LINES + 1)

    @property
    def busy(self) -> bool:
        """Whether DVC did not begin, for another `dvc` holds what it needs; the lines say which."""
        return not self.begun and any(BUSY.search(line) for line in self._lines)

    def add(self, raw: bytes) -> None:
        text = ESCAPES.sub("", raw.decode(errors="replace")).rstrip()
        line = text.rsplit("\r", 1)[-1]  # the last state of a progress bar
        self.writes = self.writes or line.startswith(WRITES)
        if not line or line.startswith(HINTS):
            return
        self._log(line)
        if self.begun:
            self._lines.append(line)
        elif line.startswith("> "):
            self.begun = True
            self._lines.clear()
        elif line.startswith(f"Stage '{self._stage}' didn't change"):
            self.outcome = Outcome.UP_TO_DATE
        elif line.startswith(f"Stage '{self._stage}' is cached"):
            self.outcome = Outcome.RESTORED
        else:
            self._lines.append(line)

    def last_lines(self) -> tuple[str, ...]:
        # DVC closes with a line that repeats the command; the stage's own words matter more if there are any.
        own = [line for line in self._lines if not line.startswith("ERROR: failed to reproduce")]
        last = (own if self.begun and own else list(self._lines))[-LAST_LINES:]
        killed = any(line.endswith("exited with -9") for line in self._lines)
        return (*last, KILLED) if killed else tuple(last)
