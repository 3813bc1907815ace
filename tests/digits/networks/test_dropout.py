import pytest
import torch

from digits.networks.dropout import Dropout


@pytest.mark.parametrize("p", [0.001, 0.2, 0.5, 0.9])
def test_elements_are_zeroed_with_probability_p_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(1)
    count = 1_000_000
    output = Dropout(p)(torch.ones(count))
    dropped = int((output == 0).sum())
    deviation = (count * p * (1 - p)) ** 0.5
    assert abs(dropped - count * p) < 5 * deviation
    kept = output[output != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=1e-4, atol=0)


def test_elements_are_independent() -> None:
    torch.manual_seed(1)
    kept = (Dropout(0.5)(torch.ones(1000, 1000)) != 0).double() * 2 - 1
    for distance in (1, 2, 3, 4, 5, 16):  # four elements share a random word
        assert abs(float((kept[:, distance:] * kept[:, :-distance]).mean())) < 0.005
    assert abs(float((kept[1:] * kept[:-1]).mean())) < 0.005


def test_the_gradient_takes_the_same_way() -> None:
    torch.manual_seed(1)
    input = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    output = Dropout(0.3)(input)
    (gradient,) = torch.autograd.grad(output.sum(), input)
    torch.testing.assert_close(gradient, (output / input).detach())
    assert set(gradient.flatten().tolist()) == {0.0, gradient.max().item()}


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3, 5), (0, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_shape_and_type_stays(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    output = Dropout(0.5)(torch.ones(shape, dtype=dtype))
    assert output.shape == shape
    assert output.dtype == dtype


def test_the_seed_decides() -> None:
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(Dropout(0.5)(torch.ones(100)))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_nothing_is_dropped_in_evaluation_or_with_p_0() -> None:
    input = torch.randn(50)
    assert torch.equal(Dropout(0.9).eval()(input), input)
    assert torch.equal(Dropout(0.0)(input), input)


def test_the_largest_p_below_1_leaves_finite_numbers() -> None:
    assert torch.isfinite(Dropout(0.9999999)(torch.ones(200_000))).all()
