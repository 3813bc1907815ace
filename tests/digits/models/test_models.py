import re

import pytest
import torch
from torch import nn

from digits.models.cnn import ConvolutionalNet
from digits.models.mlp import FeedForwardNet
from digits.networks.dropout import Dropout


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


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("stem", [0, 5])
@pytest.mark.parametrize("channels", [[3], [4, 8], [2, 4, 8, 16]])
def test_a_convolutional_network_halves_the_image_in_its_stem_and_in_each_block(
    channels: list[int], stem: int, separable: bool
) -> None:
    net = ConvolutionalNet(channels=channels, dropout=0.5, separable=separable, stem=stem).build().eval()
    images = torch.randn(3, 1, 28, 28)
    output = net(images)
    assert output.shape == (3, 10)
    torch.testing.assert_close(output.exp().sum(1), torch.ones(3))
    side = net.layers(images).shape[2:]  # type: ignore[operator]
    assert side == {1: (14, 14), 2: (7, 7), 3: (4, 4), 4: (2, 2), 5: (1, 1)}[len(channels) + (stem > 0)]
    mixing = [m for m in net.modules() if isinstance(m, nn.Conv2d) and (m.groups == 1 or m.in_channels == 1)]
    before = [stem] if stem else []
    assert [layer.out_channels for layer in mixing] == before + [c for c in channels for _ in range(2)]


def test_a_separable_convolution_is_one_of_filters_times_sums() -> None:
    torch.manual_seed(1)
    model = ConvolutionalNet(channels=[3], dropout=0.0, separable=True)
    separable, dense = (m.build().eval() for m in (model, model.model_copy(update={"separable": False})))
    weights = separable.state_dict()
    filters, sums = weights.pop("layers.3.weight"), weights.pop("layers.4.weight")
    whole = {re.sub(r"layers\.([56])", lambda m: f"layers.{int(m[1]) - 1}", k): v for k, v in weights.items()}
    dense.load_state_dict({**whole, "layers.3.weight": sums * filters.transpose(0, 1)})
    images = torch.randn(3, 1, 28, 28)
    torch.testing.assert_close(separable(images), dense(images))
    assert sum(w.numel() for w in separable.parameters()) < sum(w.numel() for w in dense.parameters())


def test_a_convolutional_network_learns_its_normalization_while_training_only() -> None:
    torch.manual_seed(1)
    net = ConvolutionalNet(channels=[3], dropout=0.0).build()
    images = torch.randn(8, 1, 28, 28) + 2
    before = {name: value.clone() for name, value in net.named_buffers()}
    net.eval()(images)
    assert all(torch.equal(value, before[name]) for name, value in net.named_buffers())
    alone = net(images[:1])
    torch.testing.assert_close(alone, net(images)[:1])
    net.train()(images)
    assert not any(torch.equal(value, before[name]) for name, value in net.named_buffers())
