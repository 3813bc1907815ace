"""The training loop against a plain one, step by step, on small data made here."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from digits.networks.dropout import Dropout
from digits.training.loop import Examples, TrainingError, train
from digits.training.sections import TrainingValues
from digits.training.state import Interval
from tests.digits.conftest import ReadWith

SMALL: dict[str, object] = {
    "train.epochs": 3,
    "train.batch_size": 16,
    "train.log_interval": 2,
    "models.mlp.hidden_sizes": [12, 8],
}
COUNT = 75  # four batches of 16 and one of 11

MakeOptimizer = Callable[[nn.Module], torch.optim.Optimizer]


def examples(count: int, seed: int = 3) -> Examples:
    """Noise around a picture for each digit."""
    generator = torch.Generator().manual_seed(seed)
    digits = torch.randn(10, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 10, (count,), generator=generator)
    return Examples(digits[labels] + torch.randn(count, 1, 28, 28, generator=generator), labels)


def silent(line: str) -> None:
    pass


def plain_training(
    parameters: TrainingValues, data: Examples, make_optimizer: MakeOptimizer, gamma: float
) -> tuple[nn.Module, list[float]]:
    """The loop of the textbooks, dropout and all: the network, and the loss of every batch."""
    values = parameters.train
    torch.manual_seed(values.seed)
    net = nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(784, 12), nn.ReLU(), Dropout(0.2)),
        *(nn.Linear(12, 8), nn.ReLU(), Dropout(0.2)),
        nn.Linear(8, 10),
    )
    optimizer = make_optimizer(net)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma)
    shuffle = torch.Generator().manual_seed(values.seed)
    losses = []
    net.train()
    for _ in range(values.epochs):
        order = torch.randperm(len(data.labels), generator=shuffle)
        for start in range(0, len(order), values.batch_size):
            chosen = order[start : start + values.batch_size]
            loss = functional.cross_entropy(net(data.images[chosen]), data.labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
    return net, losses


SOLVERS: dict[str, tuple[dict[str, object], MakeOptimizer]] = {
    "sgd": ({}, lambda net: torch.optim.SGD(net.parameters(), lr=0.01, weight_decay=1e-6)),
    "momentum": (
        {"solvers.sgd.momentum": 0.9, "solvers.sgd.nesterov": True, "solvers.sgd.weight_decay": 0.01},
        lambda net: torch.optim.SGD(
            net.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.01
        ),
    ),
    "adamw": (
        {"train.solver": "adamw"},
        lambda net: torch.optim.AdamW(
            net.parameters(), lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01
        ),
    ),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("schedule", ["constant", "step"])
def test_every_step_is_that_of_a_plain_loop(read_with: ReadWith, solver: str, schedule: str) -> None:
    overrides, make_optimizer = SOLVERS[solver]
    parameters = read_with({**SMALL, **overrides, "train.schedule": schedule, "train.log_interval": 1})
    data = examples(COUNT)
    net, history = train(parameters, data, log=silent)
    gamma = 0.9 if schedule == "step" else 1.0
    plain_net, plain_losses = plain_training(parameters, data, make_optimizer, gamma)
    assert len(history) == 15
    torch.testing.assert_close([row.loss for row in history], plain_losses, rtol=0, atol=1e-6)
    for ours, plain in zip(net.parameters(), plain_net.parameters(), strict=True):
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(read_with: ReadWith) -> None:
    data = examples(COUNT)
    weights = [
        torch.cat(
            [
                w.flatten()
                for w in train(read_with({**SMALL, "train.seed": s}), data, log=silent)[0].parameters()
            ]
        )
        for s in (42, 42, 43)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_it_learns(read_with: ReadWith) -> None:
    overrides = {**SMALL, "train.epochs": 40, "train.solver": "adamw", "models.mlp.hidden_sizes": [64]}
    _, history = train(read_with(overrides), examples(300), examples(100, seed=4), log=silent)
    assert history[0].accuracy < 0.5
    assert history[-1].accuracy > 0.95
    assert history[-1].validation_accuracy is not None
    assert history[-1].validation_accuracy > 0.95


def test_an_interval_is_the_mean_over_its_images(read_with: ReadWith) -> None:
    data = examples(COUNT)
    _, single = train(read_with({**SMALL, "train.log_interval": 1, "train.epochs": 2}), data, log=silent)
    _, double = train(read_with({**SMALL, "train.log_interval": 2, "train.epochs": 2}), data, log=silent)
    assert [(row.epoch, row.batch, row.step) for row in double] == [
        (1, 2, 2),
        (1, 4, 4),
        (1, 5, 5),
        (2, 2, 7),
        (2, 4, 9),
        (2, 5, 10),
    ]
    assert double[0].loss == pytest.approx((single[0].loss + single[1].loss) / 2)
    assert double[0].accuracy == pytest.approx((single[0].accuracy + single[1].accuracy) / 2)
    _, whole = train(read_with({**SMALL, "train.log_interval": 9, "train.epochs": 1}), data, log=silent)
    sizes = [16, 16, 16, 16, 11]
    expected = sum(row.loss * size for row, size in zip(single, sizes, strict=False)) / COUNT
    assert whole == [Interval(1, 5, 5, 0.01, whole[0].loss, whole[0].accuracy)]
    assert whole[0].loss == pytest.approx(expected)


def test_the_schedule_acts_between_epochs(read_with: ReadWith) -> None:
    _, history = train(read_with({**SMALL, "train.schedule": "step"}), examples(COUNT), log=silent)
    rates = {row.epoch: row.lr for row in history}
    assert rates == pytest.approx({1: 0.01, 2: 0.009, 3: 0.0081})


def test_validation_is_without_dropout_at_each_epochs_end(read_with: ReadWith) -> None:
    validation = examples(40, seed=5)
    net, history = train(read_with(SMALL), examples(COUNT), validation, log=silent)
    assert [row.batch for row in history if row.validation_loss is not None] == [5, 5, 5]
    with torch.no_grad():
        output = net.eval()(validation.images)
    assert history[-1].validation_loss == pytest.approx(
        functional.nll_loss(output, validation.labels).item(), abs=1e-6
    )
    accuracy = (output.argmax(1) == validation.labels).double().mean().item()
    assert history[-1].validation_accuracy == pytest.approx(accuracy)


def test_validation_does_not_change_the_training(read_with: ReadWith) -> None:
    data = examples(COUNT)
    alone, _ = train(read_with(SMALL), data, log=silent)
    watched, _ = train(read_with(SMALL), data, examples(40, seed=5), log=silent)
    for one, other in zip(alone.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("interval", [1, 3, 100])
def test_a_loss_that_is_not_finite_names_epoch_and_batch(read_with: ReadWith, interval: int) -> None:
    data = examples(COUNT)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(42))
    data.images[order[50]] = float("nan")  # in the fourth batch
    with pytest.raises(TrainingError, match="the loss is nan in epoch 1, batch 4"):
        train(read_with({**SMALL, "train.log_interval": interval}), data, log=silent)


def test_an_exploding_training_stops(read_with: ReadWith) -> None:
    overrides = {**SMALL, "solvers.sgd.lr": 1e18}
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) in epoch 1, batch \d; try a smaller"):
        train(read_with(overrides), examples(COUNT), log=silent)


def test_mixed_precision_keeps_float32_weights(read_with: ReadWith) -> None:
    data = examples(COUNT)
    exact, _ = train(read_with(SMALL), data, log=silent)
    mixed, history = train(read_with({**SMALL, "train.precision": "bfloat16"}), data, log=silent)
    for one, other in zip(exact.parameters(), mixed.parameters(), strict=True):
        assert other.dtype == torch.float32
        assert not torch.equal(one, other)
        torch.testing.assert_close(one, other, rtol=0, atol=0.05)
    assert all(row.loss < 4 for row in history)


def test_a_line_for_each_epoch(read_with: ReadWith) -> None:
    lines: list[str] = []
    _, history = train(read_with(SMALL), examples(COUNT), examples(40), log=lines.append)
    assert [line.split(":")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "images/s" in lines[0]
    assert f"validation loss {history[-1].validation_loss:.4f}" in lines[-1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_repeats_itself_and_agrees_with_the_cpu(read_with: ReadWith) -> None:
    from digits.networks import devices

    devices.make_deterministic(threads=1)
    data = examples(COUNT)
    on_gpu = Examples(data.images.cuda(), data.labels.cuda())
    still = {**SMALL, "models.mlp.dropout": 0.0}  # dropout draws other numbers on a GPU
    first, second = (train(read_with(still), on_gpu, log=silent)[0] for _ in range(2))
    on_cpu, _ = train(read_with(still), data, log=silent)
    for a, b, c in zip(first.parameters(), second.parameters(), on_cpu.parameters(), strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(a.cpu(), c, rtol=0, atol=1e-4)
