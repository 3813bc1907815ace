"""Losses and their gradients against textbook formulas, also where those have none."""

import math

import pytest
import torch
from torch.nn import functional

from digits.losses.cosine_distance import CosineDistance
from digits.losses.cross_entropy import CrossEntropy
from digits.losses.euclidean_distance import EuclideanDistance
from digits.losses.kullback_leibler import KullbackLeibler
from digits.losses.mean_squared_error import MeanSquaredError
from digits.losses.negative_log_likelihood import NegativeLogLikelihood
from digits.parameters.schema import LOSSES
from digits.training.loop import train
from digits.training.loss import Loss
from digits.training.weighted_sum import WeightedSum
from tests.digits.conftest import ReadWith
from tests.digits.training.test_loop import COUNT, SMALL, examples, silent

EVERY: dict[str, Loss] = {
    "cross_entropy": CrossEntropy(label_smoothing=0.0),
    "cross_entropy, smoothed": CrossEntropy(label_smoothing=0.1),
    "negative_log_likelihood": NegativeLogLikelihood(),
    "mean_squared_error": MeanSquaredError(),
    "euclidean_distance": EuclideanDistance(),
    "cosine_distance": CosineDistance(),
    "kullback_leibler": KullbackLeibler(label_smoothing=0.0),
    "kullback_leibler, smoothed": KullbackLeibler(label_smoothing=0.1),
}
HIGHEST = {"mean_squared_error": 2.0, "euclidean_distance": math.sqrt(2), "cosine_distance": 1.0}
SHORT = {"cross_entropy", "cross_entropy, smoothed", "negative_log_likelihood"}
LABELS = torch.tensor([0, 9, 3, 3, 5, 1])


def some_logits() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 10, dtype=torch.float64, generator=generator).requires_grad_()


def textbook(name: str, logits: torch.Tensor) -> torch.Tensor:
    """Each formula as it stands in textbooks, image by image."""
    losses = []
    for p, label in zip(logits.softmax(1), LABELS, strict=True):
        y = torch.zeros(10, dtype=p.dtype)
        y[label] = 1
        smoothed = 0.9 * y + 0.01
        losses.append(
            {
                "cross_entropy": -(y * p.log()).sum(),
                "cross_entropy, smoothed": -(smoothed * p.log()).sum(),
                "negative_log_likelihood": -p[label].log(),
                "mean_squared_error": ((p - y) ** 2).sum(),
                "euclidean_distance": ((p - y) ** 2).sum().sqrt(),
                "cosine_distance": 1 - (p * y).sum() / ((p**2).sum().sqrt() * (y**2).sum().sqrt()),
                "kullback_leibler": -p[label].log(),
                "kullback_leibler, smoothed": (smoothed * (smoothed / p).log()).sum(),
            }[name]
        )
    return torch.stack(losses).mean()


def test_every_loss_is_tested_here() -> None:
    assert {name.partition(",")[0] for name in EVERY} == set(LOSSES)


@pytest.mark.parametrize("name", EVERY)
def test_a_loss_and_its_gradient_are_the_textbooks(name: str) -> None:
    logits = some_logits()
    ours, theirs = EVERY[name](logits.log_softmax(1), LABELS), textbook(name, logits)
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (ours, theirs)]
    torch.testing.assert_close(*gradients)
    output = logits.log_softmax(1).detach().requires_grad_()
    short = EVERY[name].gradient(output.detach(), LABELS)
    assert (short is not None) == (name in SHORT)
    if short is not None:
        torch.testing.assert_close(short, torch.autograd.grad(EVERY[name](output, LABELS), output)[0])
    assert 0 <= float(ours.detach()) <= HIGHEST.get(name, math.inf)


@pytest.mark.parametrize("name", EVERY)
def test_the_gradient_is_that_of_the_values(name: str) -> None:
    assert torch.autograd.gradcheck(lambda x: EVERY[name](x.log_softmax(1), LABELS), some_logits())


def at(kind: str, dtype: torch.dtype) -> torch.Tensor:
    """Log-probabilities of six answers."""
    one_hot = functional.one_hot(LABELS, 10).to(dtype)
    if kind == "every answer right beyond doubt":
        return (one_hot * 1e4).log_softmax(1)
    if kind == "every answer wrong beyond doubt":
        return (one_hot * -1e4).log_softmax(1)
    return torch.full((6, 10), -math.inf, dtype=dtype)  # no vector of probabilities, but what if


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["right", "wrong"])
@pytest.mark.parametrize("name", EVERY)
def test_values_and_gradients_stay_finite(name: str, kind: str, dtype: torch.dtype) -> None:
    answers = at(f"every answer {kind} beyond doubt", dtype).requires_grad_()
    value = EVERY[name](answers, LABELS)
    (gradient,) = torch.autograd.grad(value, answers)
    assert value.isfinite()
    assert gradient.isfinite().all()
    if kind == "right" and "smoothed" not in name:
        assert float(value.detach()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_the_gradient_of_zero_probabilities_is_finite(name: str) -> None:
    nothing = at("zero", torch.float64).requires_grad_()
    value = EVERY[name](nothing, LABELS)
    (gradient,) = torch.autograd.grad(value, nothing)
    assert gradient.isfinite().all()
    expected = {"euclidean_distance": 1.0, "mean_squared_error": 1.0, "cosine_distance": 1.0}
    assert float(value.detach()) == expected.get(name, math.inf)


def test_where_the_textbook_fails() -> None:
    """What the tests above would see of the formulas as they stand."""
    zero = torch.zeros(3, requires_grad=True)
    (gradient,) = torch.autograd.grad((zero**2).sum().sqrt(), zero)
    assert gradient.isnan().all(), "the Euclidean distance of a right answer"
    logits = torch.tensor([[0.0, 1e4]], requires_grad=True)
    (gradient,) = torch.autograd.grad(-logits.softmax(1).log()[0, 0], logits)
    assert not gradient.isfinite().all(), "the logarithm of a probability that was rounded to 0"


def test_a_combination_is_the_weighted_sum_of_its_terms(read_with: ReadWith) -> None:
    terms = [
        {"name": "cross_entropy", "weight": 0.7, "label_smoothing": 0.1},
        {"name": "euclidean_distance", "weight": 2},
    ]
    combination = read_with({"train.loss": terms}).loss
    assert isinstance(combination, WeightedSum)
    logits = some_logits()
    value = combination(logits.log_softmax(1), LABELS)
    parts = {name: textbook(name, logits) for name in ("cross_entropy, smoothed", "euclidean_distance")}
    expected = 0.7 * parts["cross_entropy, smoothed"] + 2 * parts["euclidean_distance"]
    torch.testing.assert_close(value, expected)
    (ours,), (theirs,) = (torch.autograd.grad(v, logits) for v in (value, expected))
    torch.testing.assert_close(ours, theirs)
    assert list(combination.each(logits.log_softmax(1), LABELS).values()) == pytest.approx(
        [float(part.detach()) for part in parts.values()]
    )


def test_every_term_has_its_own_curve(read_with: ReadWith) -> None:
    terms = [{"name": "mean_squared_error", "weight": 0.5}, {"name": "cosine_distance", "weight": 3.0}]
    _, history = train(read_with({**SMALL, "train.loss": terms}), examples(COUNT), log=silent)
    for row in history:
        assert list(row.terms) == ["mean_squared_error", "cosine_distance"]
        expected = 0.5 * row.terms["mean_squared_error"] + 3 * row.terms["cosine_distance"]
        assert row.loss == pytest.approx(expected, rel=1e-5)
    _, history = train(read_with(SMALL), examples(COUNT), log=silent)
    assert all(row.terms == {} for row in history)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_teaches(read_with: ReadWith, loss: str) -> None:
    overrides = {**SMALL, "train.loss": loss, "train.solver": "adamw", "train.epochs": 10}
    _, history = train(read_with({**overrides, "models.mlp.hidden_sizes": [32]}), examples(300), log=silent)
    assert history[-1].loss < history[0].loss
    assert history[-1].accuracy > max(history[0].accuracy, 0.5)
