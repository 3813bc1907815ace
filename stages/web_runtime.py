"""Fetch what runs the model in the page, onnxruntime-web, into data/web_runtime/."""

from pathlib import Path

from digits.download import download
from digits.parameters import Parameters
from digits.web_runtime import LIBRARY, WASM
from stages.command import run


def main(parameters: Parameters) -> None:
    values, files = parameters.web_runtime, (LIBRARY, WASM)
    target = Path("data/web_runtime")
    download(values.mirrors, target, values.attempts, values.timeout, files, key="web_runtime.mirrors")


if __name__ == "__main__":
    run(main)
