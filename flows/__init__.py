"""When and where stages run: Prefect over DVC. Knows stage names, and neither torch nor what a stage does."""

import os

# Without it, Prefect looks for its makers' servers at every start. It reads this when it is imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
