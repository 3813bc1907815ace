"""Check all of params.yaml before anything else runs, and write down which code it chooses: data/choices/.

Whoever depends on what is written there runs again when that code changes, and not when a neighbour's does.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from digits.common import versions
from digits.common.choices import code_sha256
from digits.common.files import files_below, replacing
from digits.common.parameters_file import ParameterError
from digits.common.stage import run
from digits.common.text import cut, shown
from digits.onnx.runtime import ORACLE, YARDSTICK
from digits.parameters.schema import Parameters, read

CHOICES = Path("data/choices")


def write(name: str, text: str) -> None:
    with replacing(CHOICES / name) as temporary:
        temporary.write_text(text, encoding="utf-8")


def refuse_what_dvc_cannot_read(images: Path) -> None:
    """DVC reads them before the stage does: for the writer of a pipe it waits, of a name it says no path.

    Raises:
        ParameterError: naming the file.
    """
    for path in files_below(images) if images.is_dir() else [images]:
        if path.exists() and not path.is_file():
            raise ParameterError(f"{cut(str(path))} is no regular file; data.images must hold nothing else")
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise ParameterError(f"{cut(str(path))} has a name that is not UTF-8; rename it") from None


def main(parameters: Parameters) -> None:
    images = parameters.data.images
    if not Path(images).exists():
        # DVC would say of a dependency that it is missing, and not whose it is.
        raise ParameterError(
            f"data.images is {shown(images)}, which is not there; docs/data.md says what it holds"
        )
    refuse_what_dvc_cannot_read(Path(images))
    train = parameters.train
    runtimes = code_sha256("digits.runtimes", [ORACLE, YARDSTICK, *parameters.verify.runtimes])
    # With their values, for dvc.yaml cannot name those of a list.
    losses = {
        name: {"code": code, "values": parameters.losses[name].model_dump()}
        for name, code in code_sha256("digits.losses", train.loss_names).items()
    }
    choices: dict[str, Mapping[str, object]] = {
        "model": code_sha256("digits.models", [train.model]),
        "losses": losses,
        "runtimes": runtimes,
    }
    for name, chosen in choices.items():
        write(f"{name}.json", json.dumps(chosen, indent=2) + "\n")
    write("checked", "params.yaml has been checked before anything ran.\n")
    print("; ".join(f"{name}: {', '.join(chosen)}" for name, chosen in choices.items()))


if __name__ == "__main__":
    run(main, read, *(set(versions.DECIDING) - versions.OPTIONAL))
