import pytest
import torch

from digits.networks.perceptron import Gradients, Perceptron
from digits.training.loop import train
from digits.training.objective import Objective, Targets
from digits.training.outliers import NO_CLASS, Outliers
from tests.digits.conftest import ReadWith
from tests.digits.training.test_augmentation import PAPER, blot
from tests.digits.training.test_loop import COUNT, SMALL, examples, silent

TWO_TERMS = [{"name": "cross_entropy", "weight": 0.5}, {"name": "mean_squared_error", "weight": 2.0}]


def replaced(count: int, share: float, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noisy images before, images after and labels after."""
    before = torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(count) % 10
    after, changed = Outliers(share=share)(before, labels, torch.Generator().manual_seed(seed))
    assert torch.equal(labels, torch.arange(count) % 10)
    return before, after, changed


@pytest.mark.parametrize(
    ("count", "share", "outliers"), [(64, 0.25, 16), (10, 0.35, 3), (3, 0.3, 0), (1, 0.9, 0)]
)
def test_a_share_of_the_batch_is_replaced_evenly_spread(count: int, share: float, outliers: int) -> None:
    before, after, labels = replaced(count, share)
    gone = labels == NO_CLASS
    assert int(gone.sum()) == outliers
    assert torch.equal(after[~gone], before[~gone])
    assert torch.equal(labels[~gone], (torch.arange(count) % 10)[~gone])
    assert all(not torch.equal(a, b) for a, b in zip(after[gone], before[gone], strict=True))
    for half in gone.chunk(2):
        assert abs(float(half.sum()) - outliers * len(half) / count) <= 1


@pytest.mark.parametrize("kind", [slice(0, None, 2), slice(1, None, 4)], ids=["letters", "strokes"])
def test_most_are_letters_and_strokes_of_the_size_of_a_digit_in_ink_on_paper(kind: slice) -> None:
    images, labels = Outliers(share=0.9)(blot(200), torch.zeros(200).long(), torch.Generator().manual_seed(1))
    strokes = images[labels == NO_CLASS][kind, 0]
    assert strokes.min() == pytest.approx(PAPER, abs=0.01)
    assert (strokes.amax((1, 2)) > 1.8).all(), "each has ink"
    inked = strokes > 1
    rows, columns = inked.any(2).sum(1), inked.any(1).sum(1)
    assert 18 <= torch.maximum(rows, columns).float().median() <= 21
    assert (inked.float().mean((1, 2)) < 0.5).all(), "paper outweighs ink"
    assert len(strokes.flatten(1).unique(dim=0)) == len(strokes)


def test_the_others_hold_two_images_of_the_batch() -> None:
    before, after, labels = replaced(64, 0.8)
    rows = (labels == NO_CLASS).nonzero()[3::4, 0].tolist()
    for number, row in enumerate(rows):
        if number % 2:
            assert torch.equal(after[row, :, :14], before[row, :, :14])
            assert any(torch.equal(after[row, :, 14:], other.rot90(1, (1, 2))[:, 14:]) for other in before)
        else:
            assert any(
                torch.equal(after[row], torch.maximum(before[row], other.rot90(1, (1, 2))))
                for other in before
            )


def test_the_seed_decides() -> None:
    assert torch.equal(replaced(20, 0.5)[1], replaced(20, 0.5)[1])
    assert not torch.equal(replaced(20, 0.5)[1], replaced(20, 0.5, seed=2)[1])


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error", TWO_TERMS])
def test_an_outlier_asks_for_the_same_probability_of_all(read_with: ReadWith, loss: object) -> None:
    """∂value/∂output as autograd has it of the mean over the images, each by its own formula."""
    parameters = read_with({"train.loss": loss, "outliers.share": 0.5})
    objective = Objective(parameters, None)
    output = torch.randn(6, 10, generator=torch.Generator().manual_seed(1)).log_softmax(1).requires_grad_()
    targets = Targets(torch.tensor([3, NO_CLASS, 0, 9, NO_CLASS, 1]), None)
    each = [
        -row.mean() if label == NO_CLASS else parameters.loss(row[None], label[None])
        for row, label in zip(output, targets.labels, strict=True)
    ]
    value = objective(output, targets)
    torch.testing.assert_close(value, torch.stack(each).mean())
    (by_autograd,) = torch.autograd.grad(value, output)
    if (by_hand := objective.gradient(output.detach(), targets)) is not None:
        torch.testing.assert_close(by_hand, by_autograd)
    else:
        assert loss != "cross_entropy"
    only = Targets(torch.full((6,), NO_CLASS), None)
    torch.testing.assert_close(objective(output, only), -output.mean())


def test_the_gradient_by_hand_is_that_of_autograd(read_with: ReadWith) -> None:
    objective = Objective(read_with({"outliers.share": 0.5}), None)
    torch.manual_seed(0)
    net, images = Perceptron([12, 8], 0.0), torch.randn(6, 1, 28, 28)
    targets = Targets(torch.tensor([3, NO_CLASS, 0, 9, NO_CLASS, 1]), None)
    expected = torch.autograd.grad(objective(net(images), targets), [*net.parameters()])
    Gradients(net, objective.gradient)(images, targets, objective)
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_network_learns_to_be_unsure_of_outliers_and_counts_hits_among_the_rest(
    read_with: ReadWith,
) -> None:
    data = examples(COUNT)
    still = {**SMALL, "train.epochs": 40, "train.solver": "adamw", "models.mlp.dropout": 0.0}
    asked, plain = (read_with({**still, "outliers.share": share}) for share in (0.4, 0.0))
    unlike, labels = asked.outliers(data.images, data.labels, torch.Generator().manual_seed(5))
    sure = {}
    for name, values in {"asked": asked, "plain": plain}.items():
        net, history = train(values, data, log=silent)
        assert history[-1].accuracy > 0.9
        sure[name] = float(net.eval()(unlike[labels == NO_CLASS][::2]).detach().exp().amax(1).mean())
    assert sure["asked"] < 0.2
    assert sure["plain"] > 0.3
    assert asked.origin["outliers"] == {"share": 0.4}
    assert "outliers" not in plain.origin, "what is not asked for has no part in the result"
