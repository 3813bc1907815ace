"""Small classifiers, and what the error bound is held against."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from digits.models.cnn import ConvolutionalNet
from digits.models.mlp import FeedForwardNet
from digits.networks.classifier import Classifier
from digits.networks.familiarity import Familiarity
from digits.onnx.bound import Bounds
from tests.digits.onnx.orders import Single

WHITE = np.full((1, 1, 28, 28), 255, np.uint8)
NONE = torch.zeros(10)


def mlp(sizes: list[int], seed: int = 1, mean: float = 0.1307, std: float = 0.3081) -> Classifier:
    torch.manual_seed(seed)
    net = FeedForwardNet(hidden_sizes=sizes, dropout=0.2).build()
    return Classifier(net, mean, std).eval()


def normalizing(net: nn.Module) -> nn.Module:
    """A network whose batch normalization, if it has any, changes something."""
    net(torch.randn(20, 1, 28, 28))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1, 1)
            nn.init.normal_(module.bias)
    return net


def cnn(channels: Sequence[int] = (3, 5), seed: int = 1, **options: Any) -> Classifier:
    torch.manual_seed(seed)
    net = ConvolutionalNet(channels=list(channels), dropout=0.2, **options).build()
    return Classifier(normalizing(net), 0.1307, 0.3081).eval()


def steep(classifier: Classifier) -> Classifier:
    """With weights so large that margins are."""
    with torch.no_grad():
        for parameter in classifier.net.parameters():
            parameter.mul_(2)
    return classifier


CLASSIFIERS = {
    "linear": mlp([]),
    "mlp": mlp([24, 16]),
    "deep": mlp([12, 12, 12, 12]),
    "cnn": cnn(),
    "separable": cnn(separable=True),
    "stem": cnn(stem=2),
}
STEEP = {
    "linear": mlp([]),
    "mlp": steep(mlp([24, 16], seed=2)),
    "deep": steep(mlp([12, 12, 12], seed=3)),
}


def differences(answers: NDArray[np.floating]) -> NDArray[np.float64]:
    exact = answers.astype(np.float64)
    return exact[:, :, None] - exact[:, None, :]


def ratio(found: Single, expected: Bounds) -> float:
    """The largest observed error as a part of the bound."""
    errors = np.abs(differences(found) - differences(expected.logits))
    return float(np.max(errors / expected.differences, initial=0, where=expected.differences > 0))


def set_weights(classifier: Classifier, *values: tuple[Tensor, Tensor]) -> Classifier:
    linear = [m for m in classifier.net.children() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        for module, (weight, bias) in zip(linear, values, strict=True):
            module.weight.copy_(weight)
            module.bias.copy_(bias)
    return classifier


def any_familiarity() -> Familiarity:
    """What a second output may be: random directions, three for each digit."""
    directions = torch.randn(10, 3, 196, generator=torch.Generator().manual_seed(2))
    return Familiarity(directions / 14, 1.0)
