#!/usr/bin/env python3
"""The browser at `$CHROMIUM`, with these arguments; on Linux one that does not hear of network interfaces.

When one comes or goes, as with each container, Chromium ends what it is connecting to, on this machine, too
(ERR_NETWORK_CHANGED), and no switch keeps it from that. Without netlink it takes the network for steady.
"""

import errno
import os
import platform
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from benchmarks.seccomp import ALLOW, EQUALS, LOAD, REFUSE, RETURN, install

sys.path.pop(0)

SOCKET = {"x86_64": 41, "aarch64": 198}  # the number of this system call
AF_NETLINK = 16


def refuse_netlink() -> None:
    """Let `socket(AF_NETLINK, ...)` fail from now on."""
    install(
        [
            (LOAD, 0, 0, 0),  # the system call
            (EQUALS, 0, 3, SOCKET[platform.machine()]),
            (LOAD, 0, 0, 16),  # its first argument
            (EQUALS, 0, 1, AF_NETLINK),
            (RETURN, 0, 0, REFUSE | errno.EAFNOSUPPORT),
            (RETURN, 0, 0, ALLOW),
        ]
    )


if __name__ == "__main__":
    if sys.platform == "linux" and platform.machine() in SOCKET:
        refuse_netlink()
    os.execv(os.environ["CHROMIUM"], [os.environ["CHROMIUM"], *sys.argv[1:]])
