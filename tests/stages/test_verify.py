"""What the verify stage says where there is no bound."""

import numpy as np
import pytest
from torch import nn

from digits.networks.classifier import Classifier
from digits.onnx.layers import UnknownNetworkError
from digits.onnx.runtime import Model
from stages.verify import bounds


def test_a_network_without_a_bound_is_told_how_to_go_on() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Tanh(), nn.LogSoftmax(dim=1))
    images = np.zeros((1, 1, 28, 28), np.uint8)
    with pytest.raises(UnknownNetworkError, match=r"layer Tanh; with verify.proven: 0, none is asked"):
        bounds(Model(b"", Classifier(net, 0.1307, 0.3081)), images)
