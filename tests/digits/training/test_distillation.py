import math

import pytest
import torch
from torch import nn

from digits.training.distillation import Distillation
from digits.training.loop import train
from tests.digits.conftest import ReadWith
from tests.digits.training.test_loop import COUNT, SMALL, examples, silent


def log_probabilities(*, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(6, 10, generator=generator, dtype=dtype) * 3).log_softmax(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_it_is_the_formula(temperature: float) -> None:
    student, teacher = log_probabilities(seed=1), log_probabilities(seed=2)
    p = (teacher / temperature).exp()
    p /= p.sum(1, keepdim=True)
    q = (student / temperature).exp()
    q /= q.sum(1, keepdim=True)
    expected = temperature**2 * (p * (p / q).log()).sum(1).mean()
    value = Distillation(weight=1.0, temperature=temperature)(student, teacher)
    torch.testing.assert_close(value, expected)


def test_it_is_zero_for_a_student_that_answers_as_its_teacher() -> None:
    same = log_probabilities(seed=1)
    assert abs(float(Distillation(weight=1.0, temperature=4.0)(same, same))) < 1e-12


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_its_gradient_is_right(temperature: float) -> None:
    student, teacher = log_probabilities(seed=1).requires_grad_(), log_probabilities(seed=2)
    distillation = Distillation(weight=1.0, temperature=temperature)
    assert torch.autograd.gradcheck(lambda s: distillation(s, teacher), student)


def test_an_impossible_answer_gives_a_finite_value_and_gradient() -> None:
    sure = torch.full((1, 10), -1e4)
    sure[0, 3] = 0.0
    student = sure.clone().roll(1, 1).requires_grad_()
    value = Distillation(weight=1.0, temperature=4.0)(student, sure)
    (gradient,) = torch.autograd.grad(value, student)
    assert math.isfinite(value.item())
    assert gradient.isfinite().all()


def test_training_adds_it_with_its_weight_and_logs_it_alone(read_with: ReadWith) -> None:
    data = examples(COUNT)
    torch.manual_seed(8)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))
    overrides = {**SMALL, "train.log_interval": 1, "distillation.weight": 0.5, "train.epochs": 1}
    _, history = train(read_with(overrides), data, log=silent, teacher=teacher)
    for row in history:
        assert list(row.terms) == ["cross_entropy", "distillation"]
        terms = row.terms["cross_entropy"] + 0.5 * row.terms["distillation"]
        assert row.loss == pytest.approx(terms, abs=1e-5)
    _, alone = train(read_with(overrides), data, log=silent)
    assert alone[0].loss == pytest.approx(history[0].terms["cross_entropy"], abs=1e-6)
    assert alone[-1].loss != pytest.approx(history[-1].terms["cross_entropy"], abs=1e-4)


def test_with_a_weighted_sum_it_is_one_more_term(read_with: ReadWith) -> None:
    loss = [{"name": "cross_entropy", "weight": 0.7}, {"name": "euclidean_distance", "weight": 0.3}]
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))
    _, history = train(read_with({**SMALL, "train.loss": loss}), examples(COUNT), log=silent, teacher=teacher)
    assert list(history[0].terms) == ["cross_entropy", "euclidean_distance", "distillation"]


def test_a_student_comes_to_answer_as_its_teacher(read_with: ReadWith) -> None:
    data = examples(200)
    torch.manual_seed(8)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))
    net = {"models.mlp.hidden_sizes": [64], "models.mlp.dropout": 0.0}
    overrides = {**SMALL, **net, "train.epochs": 30, "train.solver": "adamw", "distillation.weight": 20.0}
    _, history = train(read_with(overrides), data, log=silent, teacher=teacher)
    assert history[-1].terms["distillation"] < history[0].terms["distillation"] / 5
