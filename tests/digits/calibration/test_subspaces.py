"""Familiar is what the digits' subspaces explain; all else is refused, a blank image too."""

from pathlib import Path

import numpy as np
import pytest
import torch

from digits.calibration import calibration_file, subspaces
from digits.calibration.calibration_file import Calibration, CalibrationFileError, Facts
from digits.common.about import About, MixedUpError
from digits.networks.familiarity import Familiarity, greys
from digits.networks.model_file import TrainedModel
from digits.networks.perceptron import Perceptron

FACTS = Facts(0.9, 0.8, 0.01, -3.5, 0.99, 5000)
ABOUT = About.unnamed()


def images(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Each digit is a stroke at a row of its own, more or less dark, with a few grains."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 10
    found = torch.zeros(count, 1, 28, 28)
    for image, digit in zip(found, labels.tolist(), strict=True):
        image[0, 2 * digit + 4 : 2 * digit + 7, 5:23] = 0.5 + 0.5 * torch.rand((), generator=generator)
    noise = 0.05 * torch.rand(found.shape, generator=generator)
    return (found + noise).clamp(max=1), labels


@pytest.fixture(scope="module")
def familiarity() -> Familiarity:
    return subspaces.fit([images(600, 1), images(600, 2)], 10)


def test_a_digit_is_familiar_and_all_else_is_not(familiarity: Familiarity) -> None:
    own = familiarity(images(100, 3)[0])
    assert (own > 0.9).all()
    assert (own < 1).all()
    others = {
        "blank": torch.zeros(1, 1, 28, 28),
        "noise": torch.rand(50, 1, 28, 28, generator=torch.Generator().manual_seed(4)),
        "upright": images(100, 3)[0].transpose(2, 3),
        "stripes": (torch.arange(28) % 4 < 2).float().expand(1, 1, 28, 28),
    }
    for name, other in others.items():
        assert familiarity(other).max() < own.min(), name
    assert familiarity(others["blank"]).item() == 0


def test_it_is_the_share_of_the_image_in_the_nearest_subspace(familiarity: Familiarity) -> None:
    some = images(20, 5)[0]
    averaged = some.reshape(20, 14, 2, 14, 2).mean((2, 4)).reshape(20, 196).double()
    bases = familiarity.bases.double()
    identity = torch.eye(30, dtype=torch.float64).expand(10, -1, -1)
    torch.testing.assert_close(bases @ bases.transpose(1, 2), identity, atol=1e-6, rtol=0)
    shares = torch.stack([(averaged @ basis.T).square().sum(1) for basis in bases]).amax(0)
    expected = shares / (averaged.square().sum(1) + familiarity.reserve.double())
    # float32: a place is off by up to 196 roundings, the sum of their squares by 30 more, as is the quotient.
    torch.testing.assert_close(familiarity(some).double(), expected, atol=2 * 230 * 2.0**-24, rtol=0)


def test_parts_and_order_of_the_images_do_not_matter(familiarity: Familiarity) -> None:
    pictures, labels = (torch.cat(both) for both in zip(images(600, 1), images(600, 2), strict=True))
    order = torch.randperm(1200, generator=torch.Generator().manual_seed(6))
    other = subspaces.fit([(pictures[order], labels[order])], 10)
    some = images(50, 7)[0]
    torch.testing.assert_close(other(some), familiarity(some), atol=1e-5, rtol=0)


def test_a_digit_without_images_is_never_the_nearest() -> None:
    pictures, labels = images(600, 1)
    few = subspaces.fit([(pictures[labels != 3], labels[labels != 3])], 10)
    assert few.bases[3].abs().max() == 0
    assert few(pictures[labels == 3]).max() < few(pictures[labels == 4]).min()


def test_the_threshold_refuses_no_more_than_it_may() -> None:
    scores = np.random.default_rng(1).permutation(np.arange(1000) / 1000)
    for share in (0.0, 0.01, 0.0155, 0.5):
        limit = subspaces.threshold(scores, share)
        assert int((scores < limit).sum()) == int(share * 1000)


def test_grey_values_come_back_as_they_were() -> None:
    raw = torch.arange(256, dtype=torch.float32) / 255
    normalized = (raw - torch.tensor(0.1307)) / torch.tensor(0.3081)
    assert torch.equal(greys(normalized, 0.1307, 0.3081), raw)


def test_a_calibration_is_read_as_it_was_written(familiarity: Familiarity, tmp_path: Path) -> None:
    path = tmp_path / "calibration.safetensors"
    calibration_file.save(Calibration(FACTS, familiarity, ABOUT), path)
    content = path.read_bytes()
    found = calibration_file.load(path)
    assert (found.facts, found.about) == (FACTS, ABOUT)
    calibration_file.save(found, path)
    assert path.read_bytes() == content
    model = TrainedModel(Perceptron([8], 0.0), 0.1307, 0.3081, {}, "ab")
    classifier = found.apply(model).classifier
    raw = (images(9, 8)[0] * 255).round().to(torch.uint8)
    torch.testing.assert_close(classifier.familiar(raw), familiarity(raw.float() / 255))
    torch.testing.assert_close(classifier(raw), (model.classifier(raw) / 0.9).log_softmax(1))


def test_there_are_as_many_subspaces_as_classes(tmp_path: Path) -> None:
    pictures, labels = images(600, 1)
    three = labels < 3
    found = subspaces.fit([(pictures[three], labels[three])], 3)
    assert found.bases.shape == (3, 30, 196)
    assert found(pictures[labels == 2]).min() > found(pictures[labels == 7]).max()
    path, about = tmp_path / "calibration.safetensors", ABOUT.model_copy(update={"classes": ["a", "b", "c"]})
    calibration_file.save(Calibration(FACTS, found, about), path)
    read = calibration_file.load(path)
    assert torch.equal(read.familiarity.bases, found.bases)
    net = Perceptron([8], 0.0, classes=3)
    model = TrainedModel(net, 0.1307, 0.3081, {}, "ab", about)
    raw = (pictures[:9] * 255).round().to(torch.uint8)
    assert read.apply(model).classifier(raw).shape == (9, 3)
    with pytest.raises(MixedUpError, match=r"the calibration is of .* 3 classes, but the model of .* 10 "):
        read.apply(TrainedModel(Perceptron([8], 0.0), 0.1307, 0.3081, {}, "ab"))


def test_what_is_no_calibration_is_told_in_a_line(familiarity: Familiarity, tmp_path: Path) -> None:
    path = tmp_path / "calibration.safetensors"
    calibration_file.save(Calibration(FACTS, familiarity, ABOUT), path)
    whole = path.read_bytes()
    broken = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "no number": whole.replace(b'\\"temperature\\": 0.9', b'\\"temperature\\": NaN'),
        "classes": whole.replace(b'\\"8\\", \\"9\\"]', b'\\"8\\"]' + 7 * b" "),
        "frozen": whole.replace(b'\\"temperature\\": 0.9', b'\\"temperature\\": 0.0'),
    }
    for name, content in broken.items():
        assert content != whole, name
        path.write_bytes(content)
        with pytest.raises(CalibrationFileError, match=r"is no calibration \(.*\); run the calibrate stage"):
            calibration_file.load(path)
