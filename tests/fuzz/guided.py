"""Inputs guided by coverage: one that reaches new code is kept, and changed in its turn.

`python -m tests.fuzz.guided TARGET RUNS SEED` is a process for one target, which libFuzzer, through
atheris, ends by itself. What is kept stays in `corpus/`, from where the next call goes on.
"""

import hashlib
import os
import random
import shutil
import sys
from pathlib import Path

import atheris

HERE = Path(__file__).parent
INSTRUMENTED = ["digits", "flows", "prefect_dvc", "ruamel", "PIL"]


def fuzz(name: str, runs: int, seed: int, folder: Path = HERE) -> None:
    """End this process after so many inputs, with 1 if anything was found."""
    # Some modules are loaded by the first input only.
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.attempts import Attempts, limit
        from tests.fuzz.engine import changed
        from tests.fuzz.files import scratch
        from tests.fuzz.targets import TARGETS, kept

        target, corpus, seeds = TARGETS[name], folder / "corpus" / name, folder / "seeds"
        for each in (corpus, seeds / name):
            each.mkdir(parents=True, exist_ok=True)
        for data in [*target.seeds(), *(path.read_bytes() for path in kept(name))]:
            (corpus / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
        attempts = Attempts(name, target, runs, seeds)

        def give(data: bytes) -> None:
            attempts.give(data)
            if attempts.at_end:
                reached = len(list(corpus.iterdir()))
                print(f"{attempts}; {reached:,} of them for what the code does differently", flush=True)
                shutil.rmtree(scratch().parent)
                os._exit(bool(attempts.found))

        def change(data: bytes, longest: int, number: int) -> bytes:
            chance = random.Random(number)
            if chance.random() < 0.5:
                return bytes(atheris.Mutate(data, longest))
            return changed(chance, [data], target.words)[:longest]

        limit()
        options = [f"-seed={seed % 2**31 + 1}", "-verbosity=0", f"-artifact_prefix={seeds / name}{os.sep}"]
        # `limit` bounds memory and time, `give` the number of inputs.
        options += ["-rss_limit_mb=0", f"-report_slow_units={2**31 - 1}"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], give, custom_mutator=change)
        atheris.Fuzz()


if __name__ == "__main__":
    fuzz(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
