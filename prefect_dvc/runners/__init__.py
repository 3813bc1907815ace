"""How the command of a stage runs: as a process, or in a container. DVC does the rest for both."""

from typing import Protocol


class Runner(Protocol):
    """Runs the command of one stage to its end; whatever ends the caller ends the command."""

    def run(self, command: str, folder: str, environment: dict[str, str]) -> int:
        """Run a shell command in `folder`; return its exit code, negative for a signal."""
        ...
