"""A Prefect server for one run, where the user has configured none.

Prefect would start one by itself, but after importing it first, which takes as long again, and would leave it
behind when killed. This one starts while the flow's own imports go on, and ends with the process it serves.
"""

import atexit
import fcntl
import gc
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

# As Prefect's own temporary server: no pages, only the services that a single run needs.
ENVIRONMENT = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Kinds of blocks are for the pages, and whoever saves a block registers its own. They are not noted as
    # registered, which would keep them from the next server that has pages.
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
}
START_SECONDS = 300.0  # the first start on an empty Prefect home creates the database
STOP_SECONDS = 10.0


OF_DATABASE = {
    "Can't locate revision": "is of another version of Prefect; move it away, or set PREFECT_HOME to another "
    "folder for this one",
    "database is locked": "is locked by another program; end that, or set PREFECT_HOME to another folder",
}
"""What the server says of its database, and what it means."""


class ServerError(RuntimeError):
    """The server did not start; `str` is one line for the user."""


class EmbeddedServer:
    """A server that is starting on a free port of 127.0.0.1; it ends when this process does, in any way.

    Other users of this machine reach that port, and so does every page in a browser. So it answers only who
    knows its `key`, which is drawn anew each time.
    """

    def __init__(self) -> None:
        self.key = f"run:{secrets.token_urlsafe(32)}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (until `stop`)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self.url = f"{origin}/api"
            _reach_directly("127.0.0.1")
            own = {
                "PREFECT_SERVER_API_AUTH_STRING": self.key,
                "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origin,
            }
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(listener.fileno())],
                env=os.environ | ENVIRONMENT | own,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # so that Ctrl-C at a terminal reaches the flow alone
            )
        # Runs last, for Prefect sends what is left to send in an exit handler of its own, which is newer.
        atexit.register(self.stop)

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables with which Prefect uses this server."""
        return {"PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": self.key}

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Return when the server answers.

        Raises:
            ServerError: it ended, or did not answer in time.
        """
        try:
            # The port has been open from the beginning: the request waits in its queue.
            urllib.request.urlopen(f"{self.url}/health", timeout=seconds).close()
        except (OSError, urllib.error.URLError) as error:
            raise ServerError(f"no Prefect server for this run: {self._last_error() or error}") from None

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        found = next((line for line in reversed(lines) if re.match(r"[\w.]+(Error|Exception): ", line)), "")
        return next((f"{_database()} {what}" for said, what in OF_DATABASE.items() if said in found), found)

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def _database() -> str:
    home = os.path.expanduser(os.environ.get("PREFECT_HOME", "~/.prefect"))
    return os.environ.get("PREFECT_API_DATABASE_CONNECTION_URL", os.path.join(home, "prefect.db"))


def _reach_directly(host: str) -> None:
    """Use none of the proxies that the environment may name, in upper and lower case, for this host."""
    for name in ("no_proxy", "NO_PROXY"):
        hosts = [each for each in os.environ.get(name, "").split(",") if each]
        if host not in hosts:
            os.environ[name] = ",".join([*hosts, host])


def serve(descriptor: int) -> None:
    """Serve on an open socket until the standard input ends."""
    gc.disable()  # while everything is loaded; what Prefect collects by itself finds nothing to look through
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    import uvicorn
    from prefect.server.api.server import create_app

    gc.freeze()
    application = create_app()
    gc.freeze()
    gc.enable()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            with _alone():
                await super().startup(sockets)

    config = uvicorn.Config(application, log_level="error", lifespan="on")
    Server(config).run([socket.socket(fileno=descriptor)])


@contextmanager
def _alone() -> Iterator[None]:
    """Be the only server that starts on this Prefect home: of two, each would migrate its database."""
    from prefect.settings import get_current_settings

    home = get_current_settings().home
    with ExitStack() as stack:
        with suppress(OSError):  # the server itself says what is wrong with this folder
            home.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context((home / ".starting.lock").open("w")), fcntl.LOCK_EX)
        yield


def _stop_at_end_of_input() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
