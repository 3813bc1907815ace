import pytest
import torch
from torch.nn import functional

from digits.losses.cross_entropy import CrossEntropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_and_its_gradient_are_those_of_pytorch(smoothing: float) -> None:
    torch.manual_seed(1)
    logits = torch.randn(6, 10, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 9, 3, 3, 5, 1])
    ours = CrossEntropy(label_smoothing=smoothing)(functional.log_softmax(logits, 1), labels)
    theirs = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(ours, theirs)
    (our_gradient,) = torch.autograd.grad(ours, logits)
    (their_gradient,) = torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(our_gradient, their_gradient)
