"""What the browser of tests and benchmarks hears of the network."""

import os
import subprocess
import sys

import pytest

from benchmarks import chromium

# A socket that hears of interfaces, and one that reaches a server.
SOCKETS = """
import socket, sys
socket.create_server(("127.0.0.1", 0)).close()
try:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
except OSError as error:
    print(sys.argv[1:], error.strerror)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has netlink")
def test_the_browser_reaches_servers_but_does_not_hear_of_network_interfaces() -> None:
    started = subprocess.run(
        [chromium.__file__, "-c", SOCKETS, "an argument"],
        env={**os.environ, "CHROMIUM": sys.executable},
        capture_output=True,
        text=True,
        check=True,
    )
    assert started.stdout == "['an argument'] Address family not supported by protocol\n"
