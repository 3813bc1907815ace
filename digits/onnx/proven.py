"""What the error bound says of the ONNX file and the test images, and of a runtime's answers."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from digits.common.errors import DigitsError
from digits.data.datasets import evenly
from digits.onnx import all_images, layers
from digits.onnx.bound import bounds
from digits.onnx.contract import OUTPUT
from digits.onnx.figures import short
from digits.onnx.layers import Convolution, Layer, Mean
from digits.onnx.rounding import gamma
from digits.onnx.runtime import Model

WORK = 8e9
"""Multiplications for the answers alone; the bound takes some thirty times as many. The default network needs
2.4e9 for 10,000 images."""
NAMED = 100  # of the images that are not certain


class NotProvenError(DigitsError):
    """The file does not hold the network that the bound is of."""


class Largest(NamedTuple):
    """Where a runtime's error is the largest part of its bound."""

    part: float
    image: int
    digits: tuple[int, int]


class Proven:
    """The bounds of `images` uint8 [n, 1, 28, 28], or as many of them, evenly spread, as take some seconds.

    Raises:
        UnknownNetworkError: no bound is known for this kind of network.
    """

    def __init__(self, model: Model, images: NDArray[np.uint8], work: float = WORK) -> None:
        self.model = model
        network = layers.of(model.classifier)
        self.fault = ""
        """Why the bound is none of the file's; the certificate then fails."""
        try:
            check(onnx.load_from_string(model.onnx), network, model)
        except NotProvenError as error:
            self.fault = str(error)
        self.safe_margin = all_images.safe_margin(model.classifier)
        self.images = evenly(len(images), max(1, int(work / layers.work(network))))
        self.bounds = bounds(model.classifier, images[self.images])
        self._exact = differences(self.bounds.logits)

    def largest(self, answers: NDArray[np.floating]) -> Largest:
        """Of these log-probabilities of all images, float [n, classes], by differences of two of an image."""
        errors = np.abs(differences(answers[self.images].astype(np.float64)) - self._exact)
        parts = parts_of(errors, self.bounds.differences)
        row, first, second = (int(i) for i in np.unravel_index(parts.argmax(), parts.shape))
        return Largest(float(parts.max()), int(self.images[row]), (first, second))

    def facts(self, least: float) -> dict[str, Any]:
        """For the certificate; `least` is the share of images that must be certain."""
        rows, digits = np.arange(len(self.images)), self.bounds.digits
        of_digit = self.bounds.differences[rows, digits]
        largest = of_digit.max(axis=1)
        slack = self.bounds.slack
        margins = np.diff(np.sort(self.bounds.logits, axis=1)[:, -2:]).ravel()
        doubtful = [row for row in slack.min(axis=1).argsort(kind="stable") if slack[row].min() <= 0]
        return {
            "images_bounded": len(self.images),
            "certain": int(self.bounds.certain.sum()),
            "least": least,
            "fault": self.fault,
            "median_bound": short(float(np.median(largest))),
            "largest_bound": short(float(largest.max())),
            "safe_margin": self.safe_margin if np.isfinite(self.safe_margin) else None,
            "above_safe_margin": int((margins > self.safe_margin).sum()),
            "not_certain": [
                {
                    "image": int(self.images[row]),
                    "digit": int(digits[row]),
                    "rival": int(rival),
                    "margin": short(self._exact[row, digits[row], rival]),
                    "bound": short(of_digit[row, rival]),
                }
                for row in doubtful[:NAMED]
                for rival in [slack[row].argmin()]
            ],
        }


def parts_of(errors: NDArray[np.float64], most: NDArray[np.float64]) -> NDArray[np.float64]:
    """Errors as parts of their bounds; 0 where a bound is."""
    return np.divide(errors, most, out=np.zeros_like(errors), where=most > 0)


def differences(answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of every two numbers of an image: [n, classes] to [n, classes, classes]."""
    found: NDArray[np.float64] = answers[:, :, None] - answers[:, None, :]
    return found


def check(file: onnx.ModelProto, network: Sequence[Layer], model: Model) -> None:
    """That the file computes these layers, with these numbers or their batch normalization folded into them.

    Raises:
        NotProvenError: naming the first layer that is another one.
    """
    steps = [node for node in leading_to(file.graph, OUTPUT) if node.op_type not in ("Reshape", "Flatten")]
    expected = ["Cast", "Div", "Sub", "Div", *_operators(network), "LogSoftmax"]
    found = [node.op_type for node in steps]
    if found != expected:
        raise NotProvenError(f"no bound is known for the operators {', '.join(found)}")
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in file.graph.initializer}
    constants = [held.get(node.input[1]) for node in steps[1:4]]
    wanted = [255, model.classifier.mean.item(), model.classifier.std.item()]
    if any(c is None or c.size != 1 or c.item() != w for c, w in zip(constants, wanted, strict=True)):
        raise NotProvenError("the ONNX file normalizes otherwise than the classifier")
    stated = {entry.key: entry.value for entry in file.metadata_props}
    if float(stated.get(all_images.KEY, "inf")) < all_images.safe_margin(model.classifier):
        raise NotProvenError("the ONNX file states a smaller safe margin than is proven")
    summing = [node for node in steps if node.op_type in ("Gemm", "Conv")]
    for node, layer in zip(summing, (part for part in network if not isinstance(part, Mean)), strict=True):
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        weight = layers.ungrouped(torch.from_numpy(held[node.input[1]].astype(np.float64)), groups).numpy()
        bias = held[node.input[2]].astype(np.float64) if len(node.input) > 2 else np.zeros(len(weight))
        folded = gamma(layer.roundings - layer.terms - layers.OF_A_SUM)
        exact, exact_bias = layer.weight.numpy(), layer.bias.numpy().ravel()
        if (
            weight.shape != exact.shape
            or (np.abs(weight - exact) > folded * np.abs(exact)).any()
            or (np.abs(bias - exact_bias) > folded * layer.bias_size.numpy().ravel()).any()
        ):
            raise NotProvenError(f"the numbers of {node.input[1]} are not those of the classifier")


def leading_to(graph: onnx.GraphProto, output: str) -> list[onnx.NodeProto]:
    """The nodes that have a part in an output, in order; a graph's nodes are sorted."""
    wanted, found = {output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            found.append(node)
            wanted.update(node.input)
    return found[::-1]


def _operators(network: Sequence[Layer]) -> Iterator[str]:
    for layer in network:
        yield (
            "ReduceMean" if isinstance(layer, Mean) else "Conv" if isinstance(layer, Convolution) else "Gemm"
        )
        if layer.rectified:
            yield "Relu"
