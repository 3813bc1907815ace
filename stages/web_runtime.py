"""Fetch what runs the model in the page, onnxruntime-web, into data/web_runtime/."""

from pathlib import Path

from digits.common.stage import FETCHED, run
from digits.data.download import download
from digits.data.sections import WebRuntime
from digits.data.web_runtime import LIBRARY, WASM


def main(values: WebRuntime) -> None:
    files, target = (LIBRARY, WASM), Path("data/web_runtime")
    download(
        values.mirrors,
        target,
        values.attempts,
        values.timeout,
        files=files,
        kept=FETCHED,
        key="web_runtime.mirrors",
    )


if __name__ == "__main__":
    run(main, WebRuntime.read)
