"""A stage in a Docker container of its own, which sees the workspace and nothing else of this machine.

As a program, `python container.py FIELDS COMMAND`, it runs the command of one stage: `shell.py` becomes it.
"""

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import DeviceRequest
from docker.utils.socket import frames_iter_no_tty
from pydantic import AfterValidator, BaseModel, Field

LABEL = "prefect-dvc.workspace"
GUARD = Path(__file__).parents[1] / "guard.py"
GUARD_INSIDE = "/prefect-dvc-guard.py"


class ContainerError(Exception):
    """Containers cannot run here; `str` is one line for the user."""


def _bytes(text: str) -> str:
    try:
        docker.utils.parse_bytes(text)
    except DockerException:
        raise ValueError("must be a size such as 512m or 4g") from None
    return text


def _image(name: str) -> str:
    # It becomes a part of the address at which the engine is asked.
    if not re.fullmatch(r"[a-z0-9][\w./:@-]*", name, re.ASCII) or ".." in name:
        raise ValueError("must be the name of an image such as digits:latest")
    return name


class ContainerRunner(BaseModel, extra="forbid"):
    """Each stage in a container of `image`, which may use so much memory (`4g`) and so many CPUs (1.5).

    The image must have `python`, for the guard that ends a stage whose `dvc` is dead; who has none is told
    how the `image_comes_by`. `network` names the stages that have one, `gpus` those that get the GPUs of the
    machine. `visible` is a regular expression of the names of those environment variables that a stage sees.
    """

    image: Annotated[str, AfterValidator(_image)]
    image_comes_by: str = "build it, or pull it"
    network: frozenset[str] = frozenset()
    gpus: frozenset[str] = frozenset()
    visible: str = "(?i:DVC_(ROOT|STAGE)|(ALL|HTTP|HTTPS|NO)_PROXY)"
    memory: Annotated[str, AfterValidator(_bytes)] | None = None
    cpus: Annotated[float, Field(ge=0.01)] | None = None

    def check(self) -> None:
        """Find out before any work whether containers can run.

        Raises:
            ContainerError: there is no engine, or no such image.
        """
        with _engine() as engine:
            self._require_image(engine)

    def remove_left(self, folder: str) -> None:
        """Remove the containers that a killed run left; only for who is alone in the workspace."""
        # Where the engine does not answer, the first stage says so.
        with suppress(ContainerError), _engine() as engine:
            # Each may be about to remove itself.
            filters = {"label": f"{LABEL}={folder}"}
            for container in engine.containers.list(all=True, filters=filters, ignore_removed=True):
                with suppress(APIError):
                    container.remove(force=True, v=True)

    def run(self, command: str, folder: str, environment: dict[str, str]) -> int:
        """Run a shell command in `folder` to its end, and return its exit code.

        It is above 128 where the container was killed, for its memory or else. Whatever ends the caller ends
        the command.
        """
        try:
            with _engine() as engine:
                self._require_image(engine)
                code = _attend(engine, self._create(engine, command, folder, environment))
        except ContainerError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        if code == 128 + signal.SIGKILL:
            limit = f"; its memory limit is {self.memory}" if self.memory else ""
            print(f"error: the container or its stage was killed{limit}", file=sys.stderr)
        return code

    def _require_image(self, engine: docker.DockerClient) -> None:
        try:
            engine.images.get(self.image)
        except ImageNotFound:
            raise ContainerError(f"there is no image {self.image} here; {self.image_comes_by}") from None

    def _create(
        self, engine: docker.DockerClient, command: str, folder: str, environment: dict[str, str]
    ) -> str:
        stage = environment["DVC_STAGE"]
        api = engine.api
        gpus = stage in self.gpus and "nvidia" in engine.info()["Runtimes"]
        host = api.create_host_config(
            auto_remove=True,
            # Under its own name, for links into DVC's cache are absolute.
            binds={
                folder: {"bind": folder, "mode": "rw"},
                str(GUARD): {"bind": GUARD_INSIDE, "mode": "ro"},
            },
            cap_drop=["ALL"],
            device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])] if gpus else None,
            mem_limit=self.memory,
            memswap_limit=self.memory,
            nano_cpus=round(self.cpus * 1e9) if self.cpus else None,
            network_mode="bridge" if stage in self.network else "none",
            read_only=True,
            security_opt=["no-new-privileges"],
            tmpfs={"/tmp": ""},
        )
        # The engine closes its standard input when this process dies, upon which the guard ends the stage.
        created = api.create_container(
            self.image,
            ["python", "-I", "-S", GUARD_INSIDE, "sh", "-c", command],
            environment={k: v for k, v in environment.items() if re.fullmatch(self.visible, k)},
            host_config=host,
            labels={LABEL: folder, "prefect-dvc.stage": stage},
            stdin_open=True,
            user=f"{os.getuid()}:{os.getgid()}",
            working_dir=folder,
        )
        return str(created["Id"])


@contextmanager
def _engine() -> Iterator[docker.DockerClient]:
    try:
        engine = docker.from_env(timeout=60)
    except DockerException as error:
        message = f"no Docker engine answers: {' '.join(str(error).split())}"
        raise ContainerError(f"{message}; start it, or choose the runner `process`") from None
    try:
        yield engine
    except (APIError, requests.RequestException) as error:
        reason = getattr(error, "explanation", None) or error
        raise ContainerError(f"Docker: {' '.join(str(reason).split())}") from None
    finally:
        engine.close()


def _attend(engine: docker.DockerClient, container: str) -> int:
    """Start a container, pass its output on as it comes, and return its exit code."""
    api: Any = engine.api
    attached = api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    # Begins to answer when the engine has taken note, so the end cannot be missed.
    wait = f"{api.base_url}/v{api.api_version}/containers/{container}/wait?condition=removed"
    with api.post(wait, stream=True, timeout=None) as end:
        end.raise_for_status()
        api.start(container)
        interrupted = _pass_on(attached)
        code = end.json()["StatusCode"]
    attached.close()
    return 130 if interrupted else int(code)


def _pass_on(attached: Any) -> bool:
    # An interrupt closes the container's input, upon which it ends.
    interrupted: list[bool] = []

    def interrupt(*_: object) -> None:
        interrupted.append(True)
        with socket.socket(fileno=os.dup(attached.fileno())) as same:
            same.shutdown(socket.SHUT_WR)

    handler = signal.signal(signal.SIGINT, interrupt)
    try:
        for _, data in frames_iter_no_tty(attached):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    finally:
        signal.signal(signal.SIGINT, handler)
    return bool(interrupted)


if __name__ == "__main__":
    runner = ContainerRunner.model_validate_json(sys.argv[1])
    sys.exit(runner.run(sys.argv[2], os.getcwd(), dict(os.environ)))
