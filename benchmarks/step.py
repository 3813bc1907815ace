"""The training loop with its default values, and the matrix products or convolutions in it alone."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from benchmarks.project import ROOT, BenchError
from digits.models.mlp import FeedForwardNet
from digits.networks import devices, images
from digits.parameters import recipes
from digits.training.loop import Examples, train
from digits.training.sections import TrainingValues

TRAIN = ROOT / "data/normalized/train.safetensors"


def values(**train: object) -> TrainingValues:
    """The defaults for one epoch on the CPU; `train` changes them.

    What recipes/tutorial.yaml names is as it says, whatever params.yaml has at present; the rest is as there.
    """
    train = {"epochs": 1, "device": "cpu", **train}
    defaults = recipes.overrides(ROOT / "recipes", recipes.BASE)
    return TrainingValues.read(
        ROOT / "params.yaml", {**defaults, **{f"train.{name}": value for name, value in train.items()}}
    )


def layer_sizes(chosen: TrainingValues) -> list[int]:
    """Of the default network, its inputs and its outputs included."""
    assert isinstance(chosen.model, FeedForwardNet)
    return [28 * 28, *chosen.model.hidden_sizes, 10]


def examples(count: int | None = None) -> Examples:
    """The first `count` training images, all if not given.

    Raises:
        BenchError: they are not there.
    """
    if not TRAIN.exists():
        raise BenchError(f"{TRAIN} is missing; `make pipeline` makes it")
    found = images.read(TRAIN)
    return Examples(found.images[:count], found.labels[:count])


def epoch(chosen: TrainingValues, data: Examples) -> Callable[[], object]:
    """One epoch as the `train` stage runs it, with the same number of threads; without loading."""
    devices.make_deterministic(chosen.train.threads)
    return partial(train, chosen, data, None, lambda _: None)


def products(sizes: list[int], batch: int) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """The matrix products of one step of a perceptron with layers of these sizes: factors and their product.

    Forward and gradient of the weights for each layer; gradient of the inputs for each but the first, whose
    inputs are the images. All tensors are made once, and those of a step fit into the cache.
    """
    found = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        value, weight = torch.randn(batch, inputs), torch.randn(outputs, inputs)
        gradient = torch.randn(batch, outputs)
        found.append((value, weight.t(), torch.empty(batch, outputs)))
        found.append((gradient.t(), value, torch.empty(outputs, inputs)))
        if number:
            found.append((gradient, weight, torch.empty(batch, inputs)))
    return found


def multiply(
    factors: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]], steps: int
) -> Callable[[], None]:
    """These products, `steps` times."""
    return repeated([partial(torch.mm, left, right, out=out) for left, right, out in factors], steps)


def repeated(work: Sequence[Callable[[], object]], times: int) -> Callable[[], None]:
    """All of it, one after the other, so many times."""

    def run() -> None:
        for _ in range(times):
            for piece in work:
                piece()

    return run


def matrix_products(chosen: TrainingValues, steps: int) -> Callable[[], None]:
    """Those of `steps` steps of the default network, and nothing else."""
    return multiply(products(layer_sizes(chosen), chosen.train.batch_size), steps)


def convolutions(net: nn.Module, batch: int) -> list[Callable[[], object]]:
    """The convolutions of one step of `net`: forward, and the gradients of the weights and of the inputs.

    As above, not that of the images. Tensors are channels last, as in the loop.
    """
    found: list[Callable[[], object]] = []

    def add(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        forward = (None, layer.stride, layer.padding, layer.dilation, False, (0, 0), layer.groups)
        weight, gradient = layer.weight.detach(), torch.randn_like(output)
        wanted = (bool(found), True, False)
        found.append(partial(torch.ops.aten.convolution, inputs[0], weight, *forward))
        found.append(
            partial(torch.ops.aten.convolution_backward, gradient, inputs[0], weight, *forward, wanted)
        )

    hooks = [m.register_forward_hook(add) for m in net.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        net(torch.randn(batch, 1, 28, 28))
    for hook in hooks:
        hook.remove()
    return found


def operations(net: nn.Module, batch: int) -> int:
    """Floating-point operations of the products and convolutions in one step of `net`."""
    from torch.utils.flop_counter import FlopCounterMode  # takes seconds

    with FlopCounterMode(display=False) as counter:
        net(torch.randn(batch, 1, 28, 28)).sum().backward()
    return int(counter.get_total_flops())
