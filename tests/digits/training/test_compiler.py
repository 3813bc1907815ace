import subprocess
import sys

from tests.project import ROOT

SCRIPT = """
import sys, torch
from digits.training import compiler

weight = torch.nn.Parameter(torch.ones(3))
with compiler.not_loaded():
    optimizer = torch.optim.SGD([weight], lr=0.5)
    weight.sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    print("loaded within:", "torch._dynamo.eval_frame" in sys.modules)
print(weight.tolist(), "torch._dynamo" in sys.modules)
if "ask" in sys.argv:
    with compiler.not_loaded():
        import torch._dynamo
        print("asked:", torch._dynamo.config.__name__)
import torch._dynamo
print("real:", torch._dynamo.is_compiling())
torch.optim.SGD([weight], lr=0.5).zero_grad()
"""


def run(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def test_an_optimizer_works_without_the_compiler_which_is_there_afterwards() -> None:
    assert run() == ["loaded within: False", "[0.5, 0.5, 0.5] False", "real: False"]


def test_whoever_asks_for_more_gets_the_real_one() -> None:
    assert run("ask")[-2:] == ["asked: torch._dynamo.config", "real: False"]
