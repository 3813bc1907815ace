"""What other processes are, while they come and go."""

import psutil


def command_of(process: psutil.Process) -> list[str]:
    """The words of its command; none where it has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
