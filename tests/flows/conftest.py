import os
from collections.abc import Iterator

import pytest

from tests.project import ROOT


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The address of a Prefect server that flows in this process use, too."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield PREFECT_API_URL.value() or ""


@pytest.fixture
def command_line_environment(prefect_server: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {"PREFECT_API_URL": prefect_server, "PYTHONPATH": str(ROOT)}
