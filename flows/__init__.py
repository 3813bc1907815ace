"""When and where stages run: Prefect over DVC. Knows stage names, and neither torch nor what a stage does."""

from flows.settings import set_defaults

# Prefect reads its environment once, on import, which comes after this.
set_defaults()
