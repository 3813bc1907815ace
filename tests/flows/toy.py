"""A project of small stages: modules and scripts, a folder, and a checkpoint that is taken up again."""

import json
from pathlib import Path

from tests.flows import releasing

DOUBLING: dict[str, object] = {
    "make": {"cmd": "cat source source > made", "deps": ["source"], "outs": ["made"]},
}
"""One stage, of which a test can say what comes out."""

LAST = {
    "cmd": (
        "echo waiting; until test -e go; do test ! -e fail || exit 1; sleep 0.05; done; "
        "cp models/model.onnx last"
    ),
    "deps": ["models/model.onnx"],
    "outs": ["last"],
}
"""A last stage that ends when there is a file `go`: a run that waits for it cannot end too early.

It fails when there is a file `fail`."""

STAGES = {
    "prepare": {
        "cmd": "python -m prepare",
        "deps": ["prepare.py", "written.py"],
        "params": ["normalize.validation_size"],
        "outs": ["data"],
    },
    "train": {
        "cmd": "python -m train",
        "deps": ["data", "train.py", "written.py"],
        "params": ["train.seed"],
        "outs": ["models/model"],
    },
    "evaluate": {
        "cmd": "python -m evaluate",
        "deps": ["evaluate.py", "models/model", "written.py"],
        "outs": [f"reports/{name}" for name in releasing.REPORTS],
        "metrics": [{"reports/metrics.json": {"cache": False}}],
    },
    "export": {
        "cmd": "echo exporting; cp models/model models/onnx.part; mv models/onnx.part models/model.onnx",
        "deps": ["models/model"],
        "outs": ["models/model.onnx"],
    },
    "last": LAST,
}
OUTPUTS = [
    "data/0",
    "data/19",
    "last",
    "models/model",
    "models/model.onnx",
    "reports/metrics.json",
    "reports/mistakes.png",
    "reports/parity.json",
]
WRITTEN = """
import os
from pathlib import Path
from ruamel.yaml import YAML

PARAMETERS = YAML(typ="safe").load(Path("params.yaml"))

def write(name, text):  # whole or not at all
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".part").write_text(text)
    os.replace(path.with_suffix(".part"), path)
"""
PREPARE = """
import shutil, time
from pathlib import Path
from written import PARAMETERS

scratch = Path("data.part")
shutil.rmtree(scratch, ignore_errors=True)
scratch.mkdir()
for number in range(20):
    (scratch / str(number)).write_text(f"{number} of {PARAMETERS['normalize']['validation_size']}\\n" * 1000)
    if number % 5 == 0:
        print("prepared", number, flush=True)
    time.sleep(0.01)
shutil.rmtree("data", ignore_errors=True)
scratch.rename("data")
"""
TRAIN = """
import hashlib, time
from pathlib import Path
from written import PARAMETERS, write

inputs = hashlib.sha256(str(PARAMETERS["train"]["seed"]).encode())
for path in sorted(Path("data").iterdir()):
    inputs.update(path.read_bytes())
begun, state, checkpoint = 0, inputs.hexdigest(), Path("models/checkpoint.kept")
if checkpoint.exists():
    of, step, kept = checkpoint.read_text().split()
    if of == inputs.hexdigest():
        begun, state = int(step), kept
        print("goes on after step", begun, flush=True)
for step in range(begun + 1, 13):
    state = hashlib.sha256(state.encode()).hexdigest()
    write(checkpoint, f"{inputs.hexdigest()} {step} {state}")
    print("step", step, flush=True)
    time.sleep(0.03)
write("models/model", state)
checkpoint.unlink()
"""
EVALUATE = f"""
import json
from pathlib import Path
from written import write

model = Path("models/model").read_text()
accuracy = 0.9 + int(model[:4], 16) / 1e6
write("reports/confusion_matrix.png", model)
write("reports/mistakes.png", model)
metrics = {{"images": 10, "accuracy": accuracy, "loss": 0.17, "mistakes": 5}}
write("reports/metrics.json", json.dumps(metrics))
print("evaluated")
write("reports/data.json", {json.dumps(releasing.DATA)!r})
write("reports/parity.json", {releasing.PARITY!r}.replace("ACCURACY", str(accuracy)))
"""
ARTIFACTS = releasing.DVC_YAML["artifacts"]


def write(root: Path) -> None:
    """Make `root`, which has flows and parameters, this project, in which nothing has run."""
    (root / "dvc.yaml").write_text(json.dumps({"stages": STAGES, "artifacts": ARTIFACTS}))
    modules = {"written": WRITTEN, "prepare": PREPARE, "train": TRAIN, "evaluate": EVALUATE}
    for name, code in modules.items():
        (root / f"{name}.py").write_text(code)
    (root / ".gitignore").write_text("go\n")
