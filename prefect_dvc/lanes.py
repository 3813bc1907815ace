"""The lanes of a workspace: one for each command at work, and those that wait for the next command."""

import threading
from collections.abc import Callable, Sequence

from prefect_dvc.lane import Lane, Limit, Settings
from prefect_dvc.transcript import Transcript


class Lanes:
    """For several threads at once, any of which may stop all."""

    def __init__(self, start: Callable[[Settings], Lane]) -> None:
        """Lanes that `start` makes, each when it is needed."""
        self._start = start
        self._keep = False
        self._idle: list[Lane] = []
        self._busy: list[Lane] = []
        self._guard = threading.Lock()
        self._stopped = threading.Event()

    def open(self, first: Lane | None) -> None:
        """Let commands begin, the first one in this lane, and keep lanes for the next ones until `stop`."""
        self._stopped.clear()
        self._keep = True
        self._idle = [first] if first else []

    @property
    def waiting(self) -> list[Lane]:
        """Those that wait for a command."""
        return list(self._idle)

    @property
    def stopped(self) -> bool:
        """Whether all is stopped."""
        return self._stopped.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, until all is stopped at the longest."""
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """End all that is at work, and let nothing begin."""
        self._stopped.set()
        with self._guard:
            self._keep = False
            busy, idle, self._idle = list(self._busy), self._idle, []
        for lane in busy:
            lane.stop()
        for lane in idle:
            lane.close()

    def run(self, command: Sequence[str], wanted: Settings, transcript: Transcript, limit: Limit) -> int:
        """Run a command with these settings to its end; return what `Lane.run` does, 1 if all is stopped."""
        lane = self._take(wanted)
        if not lane:
            transcript.add(b"stopped")
            return 1
        try:
            code = lane.run(command, transcript, limit)
        finally:
            with self._guard:
                self._busy.remove(lane)
        if code == 0:
            # Kept for the next command only where nobody else can want it, and where all is well.
            with self._guard:
                keep = self._keep and not limit.reached.is_set()
                if keep:
                    self._idle.append(lane)
            if not keep:
                lane.close()
        return code

    def _take(self, wanted: Settings) -> Lane | None:
        with self._guard:
            if self._stopped.is_set():
                return None
            lane = self._idle.pop() if self._idle else None
            if lane and lane.settings != wanted:
                lane.close()
                lane = None
            lane = lane or self._start(wanted)
            self._busy.append(lane)
        return lane
