"""A Docker engine and the project's image, for the tests that need them."""

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from tests import costly

IMAGE = "digits:latest"


def engine_with_image() -> docker.DockerClient:
    """The engine of this machine; skips where there is none, or no image."""
    costly.check("a Docker engine")
    try:
        engine = docker.from_env()
        engine.ping()
        engine.images.get(IMAGE)
    except ImageNotFound:
        pytest.skip(f"there is no image {IMAGE} here: `make image` builds it")
    except DockerException as error:
        pytest.skip(f"there is no Docker engine here: {error}")
    return engine
