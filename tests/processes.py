"""What other processes are, while they come and go."""

import psutil

_GRANDCHILD = r'sh -c "echo \$\$ >> pids; echo started; sleep 100000"'
FAMILY = f"echo $$ > pids; sh -c 'echo $$ >> pids; {_GRANDCHILD}; true'; true"
"""A command, its child and its grandchild, which go on for a day; their numbers come into `pids`."""


def command_of(process: psutil.Process) -> list[str]:
    """The words of its command; none where it has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
