import pytest

from tests.project import Project, copy_project


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh checkout in which nothing has run."""
    folder = tmp_path_factory.mktemp("fresh")
    return copy_project(folder / "project", folder / "home")
