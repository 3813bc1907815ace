import pytest
import torch

from digits.losses.cross_entropy import CrossEntropy
from digits.losses.mean_squared_error import MeanSquaredError
from digits.networks.perceptron import Gradients, Perceptron
from digits.training.loss import Loss

LOSSES = [CrossEntropy(label_smoothing=0.0), CrossEntropy(label_smoothing=0.1), MeanSquaredError()]


def compare(net: Perceptron, count: int, loss: Loss) -> None:
    images = torch.randn(count, 1, 28, 28, dtype=torch.float64)
    labels = torch.randint(0, 10, (count,))
    net.double().train()
    by_hand = Gradients(net, loss.gradient)
    for seed in (1, 2):  # the second must not add to the first
        torch.manual_seed(seed)
        value, output = by_hand(images, labels, loss)
        found = [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]
        torch.manual_seed(seed)
        expected_output = net(images)
        expected = loss(expected_output, labels)
        expected_grads = torch.autograd.grad(expected, list(net.parameters()))
        torch.testing.assert_close(value, expected.detach())
        torch.testing.assert_close(output, expected_output.detach())
        torch.testing.assert_close(found, list(expected_grads))
    assert not value.requires_grad
    assert not output.requires_grad


@pytest.mark.parametrize("hidden_sizes", [[], [4], [8, 12], [16, 8, 4]])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_gradients_by_hand_are_those_of_autograd(hidden_sizes: list[int], dropout: float, loss: Loss) -> None:
    torch.manual_seed(3)
    compare(Perceptron(hidden_sizes, dropout), 9, loss)


def test_a_batch_of_one_is_a_batch() -> None:
    compare(Perceptron([8], 0.2), 1, CrossEntropy(label_smoothing=0.0))


def test_a_grad_that_was_taken_away_comes_back() -> None:
    net = Perceptron([4], 0.2)
    by_hand: Gradients[torch.Tensor] = Gradients(net)
    net.zero_grad(set_to_none=True)
    by_hand(torch.randn(2, 1, 28, 28), torch.tensor([1, 2]), CrossEntropy(label_smoothing=0.0))
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_noise_drawn_ahead_is_the_one_that_would_be_drawn() -> None:
    torch.manual_seed(3)
    net, loss = Perceptron([8, 12], 0.5).train(), CrossEntropy(label_smoothing=0.0)
    by_hand = Gradients(net, loss.gradient)
    batches = [(torch.randn(count, 1, 28, 28), torch.randint(0, 10, (count,))) for count in (9, 4, 9)]
    torch.manual_seed(5)
    drawn = [by_hand(images, labels, loss)[1] for images, labels in batches]
    torch.manual_seed(5)
    noises = [by_hand.noise(len(images)) for images, _ in batches]
    given = [
        by_hand(images, labels, loss, noise)[1]
        for (images, labels), noise in zip(batches, noises, strict=True)
    ]
    again = by_hand(*batches[0], loss, noises[0])[1]
    assert all(map(torch.equal, drawn, given))
    assert torch.equal(again, drawn[0])
