"""Where something was measured, and the network that the pipeline is compared with."""

from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from benchmarks import report


@pytest.mark.parametrize(("flags", "wide"), [("sse avx2 avx512f", True), ("sse avx2", False)])
def test_the_machine_is_told_with_what_decides_about_ratios(
    flags: str, wide: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nmodel name : A Processor\nflags : {flags}\n")
    monkeypatch.setattr(report, "CPUINFO", tmp_path / "cpuinfo")
    assert report.has_avx512() == wide
    assert report.machine().startswith("A Processor with AVX-512, " if wide else "A Processor, ")
    assert f"torch {version('torch')}" in report.machine()


def test_conventional_network_has_the_size_of_the_default_one() -> None:
    from benchmarks.conventional import Net  # with torchvision, which takes seconds

    net = Net().eval()

    output = net(torch.zeros(3, 1, 28, 28))

    assert output.shape == (3, 10)
    assert sum(parameter.numel() for parameter in net.parameters()) == 242_762
    torch.testing.assert_close(output.exp().sum(dim=1), torch.ones(3))
