"""What command lines of flows have in common. It loads no Prefect, which a server does meanwhile."""

import argparse
import gc
import logging
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from prefect_dvc.server import EmbeddedServer, ServerError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


class Parser(argparse.ArgumentParser):
    """One line for a mistake, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options of whatever runs stages."""
    parser.add_argument(
        "-j", "--jobs", type=positive, metavar="NUMBER", help="of stages at once; as many as cores"
    )
    parser.add_argument(
        "--on-failure",
        choices=["stop", "skip-dependents"],
        default="stop",
        help="go on with stages that do not depend on the one that failed",
    )
    parser.add_argument(
        "--pool",
        dest="pools",
        action="append",
        type=pair,
        default=[],
        metavar="STAGE=POOL",
        help="run this stage on another machine, that of a worker of this pool",
    )
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="for each stage")
    parser.add_argument(
        "--commit-to",
        metavar="BRANCH",
        help="commit what has changed to this branch of origin; {run} is its name",
    )
    parser.add_argument("--experiment", metavar="NAME", help="save it as an experiment of DVC, and push that")
    parser.add_argument(
        "--when-changed",
        action="store_true",
        help="bring what is new of upstream and imports; run if there is any",
    )
    parser.add_argument("--no-remote", dest="remote", action="store_false", help="neither fetch nor push")


def positive(text: str) -> int:
    """A whole number above 0, for `argparse`."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def pair(text: str) -> tuple[str, str]:
    """Two names, for `argparse`."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form STAGE=POOL")
    return name, value


def interrupted() -> int:
    """Tell who pressed Ctrl-C how to go on; returns the code to exit with."""
    print("error: interrupted; the same command goes on with what is missing", file=sys.stderr)
    return 130


def run(flow: "Callable[[], State[Any]]", embedded: EmbeddedServer | None) -> "State[Any] | int":
    """The completed state of a flow, or the code to exit with after an error that has been told."""
    import httpx

    gc.freeze()  # what is loaded stays
    gc.enable()
    # Exit instead of the sudden death that is the default, so that an embedded server is stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if embedded:
            # Its address is of no use to a person: it has no pages, and is gone after the run.
            logging.getLogger("prefect.flow_runs").addFilter(
                lambda r: not r.getMessage().startswith("View at ")
            )
            import fastapi.encoders  # noqa: F401 (a flow needs it at once, and there is time now)

            embedded.wait()
        state = flow()
    except ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (RuntimeError, httpx.HTTPError) as error:
        print(f"error: Prefect: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return interrupted()
    if not state.is_completed():
        print(state.message, file=sys.stderr)
        return 1
    return state
