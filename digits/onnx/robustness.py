"""By how much grey values may change without the digit changing: what is proven, and what is found.

Linear bounds of every layer, carried back to the image: CROWN (H. Zhang et al., Efficient Neural Network
Robustness Certification with General Activation Functions, 2018). The attack is projected gradient descent
(A. Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, 2018), in whole grey values.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from digits.networks.classifier import Classifier
from digits.onnx import layers
from digits.onnx.layers import Layer, Mean

RESERVE = 1e-6
"""Of the largest number, for the rounding of float64, which is a millionth of that."""
ROWS = 1024
"""Units of a layer above which intervals bound it, not linear functions of the image."""
STEPS, RESTARTS = 30, 3
CHUNK = 50  # images at a time


class Box(NamedTuple):
    """Numbers within limits, [n, *shape]."""

    low: Tensor
    high: Tensor


@torch.inference_mode()
def certified(classifier: Classifier, images: Tensor, radius: int) -> Tensor:
    """Whether no change of the pixels of uint8 [n, 1, 28, 28] by `radius` grey values changes the digit: [n].

    Each pixel may change by at most `radius`, up or down, within 0 to 255. False where it is not known.

    Raises:
        UnknownNetworkError: the network has a layer of another kind than those of `digits.onnx.layers`.
    """
    network = layers.of(classifier)
    grey = images.double()
    mean, std = classifier.mean.double(), classifier.std.double()
    around = ((grey - radius).clamp(min=0), (grey + radius).clamp(max=255))
    pixels = Box(*((limit / 255 - mean) / std for limit in around))
    logits = (grey / 255 - mean) / std
    for layer in network:
        logits = layer.values(logits)
        logits = logits.clamp(min=0) if layer.rectified else logits
    known: list[Box] = []
    for number in range(len(network) - 1):
        known.append(_outputs(network[: number + 1], known, pixels))
    one = torch.eye(logits.shape[1], dtype=torch.float64)
    rows = one[logits.argmax(1)][:, None] - one
    low = _lowest(network, known, pixels, rows)
    low.scatter_(1, logits.argmax(1, keepdim=True), torch.inf)
    certain: Tensor = low.amin(1) > RESERVE * (1 + logits.abs().amax(1))
    return certain


def _outputs(network: Sequence[Layer], known: Sequence[Box], pixels: Box) -> Box:
    """What the last layer of `network` can answer, before its ReLU."""
    layer = network[-1]
    inputs = _behind(network[-2], known[-1]) if known else pixels
    middle, reach = (inputs.high + inputs.low) / 2, (inputs.high - inputs.low) / 2
    values, width = layer.values(middle), layer.sizes(reach)
    low, high = values - width, values + width
    units = values.shape[1:].numel()
    if known and units <= ROWS:
        # Only where the ReLU is in doubt does a closer look change anything.
        images, places = ((low < 0) & (high > 0)).flatten(1).nonzero(as_tuple=True)
        rows = torch.zeros(len(images), 1, units, dtype=torch.float64)
        rows[range(len(images)), 0, places] = 1
        rows = rows.unflatten(2, values.shape[1:])
        some = [Box(*(limit[images] for limit in box)) for box in (pixels, *known)]
        low, high = low.flatten(1), high.flatten(1)
        closer = _lowest(network, some[1:], some[0], torch.cat([rows, -rows], 1))
        low[images, places] = torch.maximum(low[images, places], closer[:, 0])
        high[images, places] = torch.minimum(high[images, places], -closer[:, 1])
        low, high = low.view_as(values), high.view_as(values)
    reserve = RESERVE * (1 + torch.maximum(low.abs(), high.abs()))
    return Box(low - reserve, high + reserve)


def _behind(layer: Layer, outputs: Box) -> Box:
    return Box(*(limit.clamp(min=0) for limit in outputs)) if layer.rectified else outputs


def _lowest(network: Sequence[Layer], known: Sequence[Box], pixels: Box, rows: Tensor) -> Tensor:
    """The least that `rows` [n, r, *outputs] times the outputs of the last layer can be: [n, r]."""
    found = rows.new_zeros(rows.shape[:2])
    before = [*zip(network, known, strict=False)]
    for number in range(len(network) - 1, -1, -1):
        layer = network[number]
        if not isinstance(layer, Mean):
            found = found + (rows * layer.bias).flatten(2).sum(2)
        rows = layer.back(rows)
        if number and before[number - 1][0].rectified:
            low, high = (limit[:, None] for limit in before[number - 1][1])
            slope = (high / (high - low)).where(low < 0, 1.0).where(high > 0, 0.0)
            below = (high > -low).double().where((low < 0) & (high > 0), slope)
            up, down = rows.clamp(min=0), rows.clamp(max=0)
            found = found - (down * (slope * low.clamp(max=0)).where(high > 0, 0.0)).flatten(2).sum(2)
            rows = up * below + down * slope
    middle, reach = (pixels.high + pixels.low) / 2, (pixels.high - pixels.low) / 2
    return (
        found + (rows * middle[:, None]).flatten(2).sum(2) - (rows.abs() * reach[:, None]).flatten(2).sum(2)
    )


def attacked(classifier: Classifier, images: Tensor, labels: Tensor, radius: int, seed: int = 0) -> Tensor:
    """Whether a digit other than `labels` [n] was found within `radius` grey values of the images: [n]."""
    model = copy.deepcopy(classifier).double()
    generator = torch.Generator().manual_seed(seed)
    start = images.double()
    low, high = (start - radius).clamp(min=0), (start + radius).clamp(max=255)
    wrong = model(start).argmax(1) != labels
    for restart in range(RESTARTS):
        noise = torch.rand(start.shape, generator=generator, dtype=torch.float64) * 2 - 1
        moved = start + noise * radius * (restart > 0)
        for step in range(STEPS):
            pixels = moved.round().clamp(low, high).requires_grad_()
            answers = model(pixels)
            wrong = wrong | (answers.argmax(1) != labels)
            of_label = answers.gather(1, labels[:, None])
            rival = answers.scatter(1, labels[:, None], -torch.inf).amax(1)
            (gradient,) = torch.autograd.grad((rival - of_label[:, 0]).sum(), pixels)
            size = radius * max(1 - step / STEPS, 0.1)
            moved = (pixels.detach() + size * gradient.sign()).clamp(low, high)
        wrong = wrong | (model(moved.round()).argmax(1) != labels)
    found: Tensor = wrong
    return found


class Robustness(NamedTuple):
    """Of some images, in grey values."""

    right: Tensor
    """Whether the digit is right, [n]."""
    safe: Tensor
    """The largest radius within which it is proven to stay so, 0 for none, [n]."""
    broken: Tensor
    """The smallest one within which the attack found another digit; above all radii: none, [n]."""

    def accuracies(self, radius: int) -> tuple[float, float]:
        """Shares of the images: proven to be right within this radius, and not found to be wrong."""
        certain = self.right & (self.safe >= radius)
        standing = self.right & (self.broken > radius)
        return certain.double().mean().item(), standing.double().mean().item()


def measure(classifier: Classifier, images: Tensor, labels: Tensor, radii: Sequence[int]) -> Robustness:
    """Of images uint8 [n, 1, 28, 28] with their digits [n], at rising radii.

    What is proven within a radius is so within smaller ones, and what is found in one is so in larger ones.
    """
    with torch.inference_mode():
        right = classifier(images).argmax(1) == labels
    safe, broken = torch.zeros(len(images), dtype=torch.int64), torch.full((len(images),), 256)
    before = 0
    for radius in radii:
        for part in (right & (safe == before)).nonzero().flatten().split(CHUNK):
            safe[part[certified(classifier, images[part], radius)]] = radius
        standing = (broken == 256).nonzero().flatten()
        broken[standing[attacked(classifier, images[standing], labels[standing], radius)]] = radius
        before = radius
    return Robustness(right, safe, broken)
