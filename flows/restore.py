"""The last good outputs, after a stage that failed: `python -m flows.restore`."""

import sys
from pathlib import Path

from flows.workspace import workspace_of
from prefect_dvc.locking import BusyError
from prefect_dvc.project import ProjectError
from prefect_dvc.restore import restore


def main() -> int:
    """The command line; returns 0, 1 where an output is in no cache, 2 where nothing can be done."""
    workspace = workspace_of(Path.cwd())
    try:
        with workspace.alone():
            restored = restore(workspace.project)
    except (BusyError, ProjectError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return restored.tell()


if __name__ == "__main__":
    sys.exit(main())
