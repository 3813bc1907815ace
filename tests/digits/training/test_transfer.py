"""What a batch needs on a GPU is sent there without a wait."""

from typing import Any

import pytest
import torch

from digits.training.augmentation import Augmentation
from digits.training.ink import Ink
from digits.training.outliers import Outliers
from digits.training.transfer import send


def test_on_the_cpu_nothing_is_copied() -> None:
    tensor = torch.rand(3)
    assert send(tensor, torch.device("cpu")) is tensor


def test_a_copy_to_a_gpu_is_from_pinned_memory_and_is_only_begun() -> None:
    class Tensor:
        """As one of the CPU, where no memory can be pinned without a GPU."""

        pinned = False

        def pin_memory(self) -> Any:
            self.pinned = True
            return self

        def to(self, device: torch.device, non_blocking: bool) -> tuple[bool, bool, str]:
            return self.pinned, non_blocking, device.type

    stand_in: Any = Tensor()
    assert send(stand_in, torch.device("cuda")) == (True, True, "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_is_not_waited_for_while_images_are_changed() -> None:
    images, labels = torch.rand(16, 1, 28, 28), torch.randint(10, (16,))
    changes = Augmentation(shift=1.0, rotation=8.0, scale=0.1, elastic=1.0)
    ink = Ink(thickness=0.5, pixelation=2.0, blur=0.5, contrast=0.5, share=1.0)
    outliers = Outliers(share=0.25)

    def changed(device: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        found = ink(changes(images.to(device), generator), generator)
        return outliers(found, labels.to(device), generator)[0]

    expected = changed("cpu")
    changed("cuda")  # what is kept for the next batch is made
    there = images.cuda(), labels.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        generator = torch.Generator().manual_seed(1)
        found = outliers(ink(changes(there[0], generator), generator), there[1], generator)[0]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (found.cpu() - expected).abs().mean() < 1e-3
