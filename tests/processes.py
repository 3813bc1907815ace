"""What other processes are, while they come and go."""

import subprocess
from collections.abc import Iterable

import psutil

from benchmarks.profiling import PY_SPY

_GRANDCHILD = r'sh -c "echo \$\$ >> pids; echo started; sleep 100000"'
FAMILY = f"echo $$ > pids; sh -c 'echo $$ >> pids; {_GRANDCHILD}; true'; true"
"""A command, its child and its grandchild, which go on for a day; their numbers come into `pids`."""


def command_of(process: psutil.Process) -> list[str]:
    """The words of its command; none where it has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def stacks(processes: Iterable[psutil.Process]) -> str:
    """Where each of them is in its code: what to say where one of them is waited for in vain."""
    return "\n".join(
        subprocess.run([PY_SPY, "dump", "--pid", str(process.pid)], capture_output=True, text=True).stdout
        or f"{process}: {command_of(process)}"
        for process in processes
    )
