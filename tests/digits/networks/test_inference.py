import torch

from digits.models.mlp import FeedForwardNet
from digits.networks.inference import log_probabilities


def test_batches_make_no_difference_and_dropout_is_off() -> None:
    net = FeedForwardNet(hidden_sizes=[9], dropout=0.5).build().train()
    images = torch.randn(23, 1, 28, 28)
    whole = log_probabilities(net, images, 100)
    torch.testing.assert_close(log_probabilities(net, images, 7), whole)
    assert whole.shape == (23, 10)
    assert net.training, "the network is left as it was"
    torch.testing.assert_close(net.eval()(images), whole)
