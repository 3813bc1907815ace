"""A process to which, and to whose children, the kernel gives neither hard nor symbolic links, as on exFAT.

`python -m tests.flows.linkless COMMAND…`
"""

import errno
import os
import platform
import sys

from benchmarks.seccomp import ALLOW, EQUALS, LOAD, REFUSE, RETURN, install

CALLS = {"x86_64": (86, 88, 265, 266), "aarch64": (36, 37)}
"""link, symlink, linkat and symlinkat, by their numbers on each architecture."""


def refuse_links() -> None:
    """Let the kernel refuse them from now on."""
    calls = CALLS[platform.machine()]
    steps = [(LOAD, 0, 0, 0)]
    steps += [(EQUALS, len(calls) - number, 0, call) for number, call in enumerate(calls)]
    install([*steps, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE | errno.EPERM)])


if __name__ == "__main__":
    refuse_links()
    os.execvp(sys.argv[1], sys.argv[1:])
