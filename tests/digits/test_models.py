import pytest
import torch
from torch import nn

from digits.dropout import Dropout
from digits.models import FeedForwardNet


def test_the_default_network_is_that_of_the_tutorial() -> None:
    net = FeedForwardNet(hidden_sizes=[256, 128, 64], dropout=0.2).build()
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]  # type: ignore[attr-defined]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [
        (784, 256),
        (256, 128),
        (128, 64),
        (64, 10),
    ]
    assert [layer.p for layer in net.modules() if isinstance(layer, Dropout)] == [0.2] * 3


@pytest.mark.parametrize("hidden_sizes", [[], [5], [300, 200, 100, 50]])
def test_hidden_sizes_are_free(hidden_sizes: list[int]) -> None:
    net = FeedForwardNet(hidden_sizes=hidden_sizes, dropout=0.5).build().eval()
    output = net(torch.randn(3, 1, 28, 28))
    assert output.shape == (3, 10)
    torch.testing.assert_close(output.exp().sum(1), torch.ones(3))
    assert len([layer for layer in net.modules() if isinstance(layer, nn.Linear)]) == len(hidden_sizes) + 1


def test_it_computes_what_its_weights_say() -> None:
    torch.manual_seed(1)
    net = FeedForwardNet(hidden_sizes=[7], dropout=0.9).build().eval()
    image = torch.randn(2, 1, 28, 28)
    w = net.state_dict()
    hidden = (image.flatten(1) @ w["hidden1.weight"].T + w["hidden1.bias"]).clamp(min=0)
    logits = hidden @ w["output.weight"].T + w["output.bias"]
    torch.testing.assert_close(net(image), logits - logits.exp().sum(1, keepdim=True).log())


def test_weights_come_from_the_seed() -> None:
    model = FeedForwardNet(hidden_sizes=[4], dropout=0.0)
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(model.build().state_dict()["hidden1.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
