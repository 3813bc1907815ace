"""Each solver against PyTorch's own, and the loop around those that look at a batch several times."""

from collections.abc import Callable, Iterable
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from digits.parameters.schema import SOLVERS
from digits.training.joint_optimizer import JointOptimizer
from digits.training.loop import Examples, train
from digits.training.sections import TrainingValues
from tests.digits.conftest import ReadWith
from tests.digits.training.test_loop import SMALL, examples, silent

Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
# What params.yaml says, in PyTorch's own words and without its faster variants.
PLAIN: dict[str, Make] = {
    "sgd": partial(torch.optim.SGD, lr=0.01, weight_decay=1e-6),
    "lbfgs": partial(
        torch.optim.LBFGS, lr=1.0, max_iter=10, max_eval=15, history_size=10, line_search_fn="strong_wolfe"
    ),
    "rprop": partial(torch.optim.Rprop, lr=0.01, etas=(0.5, 1.2), step_sizes=(1e-6, 0.1), foreach=False),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.0003, alpha=0.99, foreach=False),
    "adam": partial(torch.optim.Adam, lr=0.001, foreach=False),
    "adamw": partial(torch.optim.AdamW, lr=0.001, weight_decay=0.01, foreach=False),
    "adagrad": partial(torch.optim.Adagrad, lr=0.02, foreach=False),
    "adadelta": partial(torch.optim.Adadelta, lr=0.5, foreach=False),
    "nadam": partial(torch.optim.NAdam, lr=0.001, foreach=False),
    "radam": partial(torch.optim.RAdam, lr=0.001, foreach=False),
}


def with_solver(read_with: ReadWith, solver: str, **others: object) -> TrainingValues:
    return read_with({**SMALL, "train.solver": solver, **others})


def small_net() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 6), nn.Tanh(), nn.Linear(6, 10), nn.LogSoftmax(1))


def descend(net: nn.Module, optimizer: torch.optim.Optimizer, data: Examples, steps: int = 5) -> None:
    def closure() -> float:
        optimizer.zero_grad()
        loss = functional.nll_loss(net(data.images), data.labels)
        loss.backward()
        return loss.item()

    for _ in range(steps):
        optimizer.step(closure)


def weights(net: nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in net.parameters()])


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name != "muon"])
def test_a_solver_is_pytorchs_at_the_values_of_params_yaml(read_with: ReadWith, solver: str) -> None:
    data, ours, theirs = examples(50), small_net(), small_net()
    descend(ours, with_solver(read_with, solver).solver.build(ours.parameters()), data)
    descend(theirs, PLAIN[solver](theirs.parameters()), data)
    assert not torch.equal(weights(ours), weights(small_net()))
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=0, atol=1e-6)


def test_muon_has_the_matrices_and_adamw_the_rest(read_with: ReadWith) -> None:
    data, ours, theirs = examples(50), small_net(), small_net()
    descend(ours, with_solver(read_with, "muon").solver.build(ours.parameters()), data)
    matrices = [weight for weight in theirs.parameters() if weight.ndim == 2]
    biases = [weight for weight in theirs.parameters() if weight.ndim == 1]
    muon = torch.optim.Muon(matrices, lr=0.002, momentum=0.95, weight_decay=0.0)
    adamw = torch.optim.AdamW(biases, lr=0.001, weight_decay=0.0)
    for _ in range(5):
        theirs.zero_grad()
        functional.nll_loss(theirs(data.images), data.labels).backward()
        muon.step()
        adamw.step()
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=0, atol=1e-6)


def test_optimizers_together_have_one_state_and_one_rate_for_the_schedule() -> None:
    one, other = (nn.Parameter(torch.ones(2)) for _ in range(2))
    together = JointOptimizer(
        [torch.optim.SGD([one], lr=1.0, momentum=0.5), torch.optim.AdamW([other], lr=2.0)]
    )
    torch.optim.lr_scheduler.LambdaLR(together, lambda epoch: 0.5)
    assert [group["lr"] for part in together.parts for group in part.param_groups] == [0.5, 1.0]
    for weight in (one, other):
        weight.grad = torch.ones(2)
    together.step()
    assert one.tolist() == [0.5, 0.5]
    assert set(together.state) == {one, other}
    together.load_state_dict(together.state_dict())
    assert together.parts[0].state is together.parts[1].state is together.state
    together.step()
    assert one.tolist() == [-0.25, -0.25], "0.5 times the momentum of 1.5"


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_learns_at_its_own_values(read_with: ReadWith, solver: str) -> None:
    data = examples(1000)
    parameters = with_solver(read_with, solver, **{"train.epochs": 10, "models.mlp.hidden_sizes": [32]})
    _, history = train(parameters, data, log=silent)
    assert history[-1].loss < 0.8 * history[0].loss
    assert history[-1].accuracy > history[0].accuracy


def evaluate(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Examples,
    order: torch.Tensor,
    random: torch.Tensor,
    losses: list[float],
) -> float:
    torch.set_rng_state(random)
    optimizer.zero_grad()
    loss = functional.nll_loss(net(data.images[order]), data.labels[order])
    loss.backward()
    losses.append(loss.item())
    return losses[-1]


@pytest.mark.parametrize("solver", ["lbfgs", "rprop"])
def test_a_batch_that_is_looked_at_again_keeps_its_dropout(read_with: ReadWith, solver: str) -> None:
    """As PyTorch's own solver on the whole data, where each look begins with the same random numbers."""
    parameters = with_solver(read_with, solver)
    data = examples(60)
    net, history = train(parameters, data, log=silent)
    torch.manual_seed(parameters.train.seed)
    plain = parameters.model.build()
    optimizer = PLAIN[solver](plain.parameters())
    shuffle = torch.Generator().manual_seed(parameters.train.seed)
    for row in history:
        order = torch.randperm(60, generator=shuffle)
        losses: list[float] = []
        start = torch.get_rng_state()

        closure = partial(evaluate, plain, optimizer, data, order, start, losses)
        for _ in range(10 if solver == "rprop" else 1):
            optimizer.step(closure)
        assert row.loss == pytest.approx(losses[0], abs=1e-5)
        assert len(losses) >= 10
        assert min(losses) < losses[0]
    torch.testing.assert_close(weights(net), weights(plain), rtol=0, atol=1e-4)


def test_the_solvers_own_batch_size_is_taken(read_with: ReadWith) -> None:
    _, history = train(with_solver(read_with, "rprop"), examples(2500), log=silent)
    assert [row.batch for row in history] == [1, 1, 1], "one batch of 10,000"
    parameters = with_solver(read_with, "rprop", **{"solvers.rprop.batch_size": 1000})
    _, history = train(parameters, examples(2500), log=silent)
    assert [row.batch for row in history] == [2, 3, 2, 3, 2, 3]
