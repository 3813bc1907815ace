"""A step of the convolutional network: what it computes, and that it copies nothing in between."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from digits.networks.convolutional import Convolutional

BATCH = 5


def step(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    loss = functional.nll_loss(net(images), torch.arange(len(images)) % 10)
    loss.backward()
    return loss


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("stem", [0, 4])
def test_a_step_copies_no_values_between_layers(separable: bool, stem: int) -> None:
    torch.manual_seed(1)
    net, images = Convolutional([8, 16], 0.0, separable=separable, stem=stem), torch.randn(BATCH, 1, 28, 28)
    step(net, images)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        step(net, images)
    copied = [event.input_shapes[0] for event in profiler.events() if event.name == "aten::copy_"]
    assert copied, "weights and gradients of them may be"
    assert not [shape for shape in copied if len(shape) == 4 and shape[0] == BATCH and shape[2] > 1]


@pytest.mark.parametrize("images", [torch.randn(3, 1, 28, 28), torch.randn(3, 28, 28, 1).permute(0, 3, 2, 1)])
def test_strides_of_the_images_change_nothing(images: torch.Tensor) -> None:
    torch.manual_seed(1)
    net = Convolutional([4, 8], 0.0)
    plain = nn.Sequential(*net.layers)
    expected = net.output(plain(images.contiguous()).mean((2, 3))).log_softmax(1)
    torch.testing.assert_close(net(images), expected)
