"""The last good outputs, after a stage that failed: `python -m flows.restore`."""

import sys
from pathlib import Path

from flows.workspace import workspace_of
from prefect_dvc.restore import command

if __name__ == "__main__":
    sys.exit(command(workspace_of(Path.cwd())))
