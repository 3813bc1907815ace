"""The benchmark's report, and the network that it compares with."""

import torch

from benchmarks.conventional import Net
from benchmarks.report import format_report

RUN = {
    "conventional": 60.0,
    "conventional_training": 50.0,
    "conventional_testing": 6.0,
    "conventional_accuracy": 0.9465,
    "job": 30.0,
    "train": 5.0,
    "train_peak": 2.4e9,
    "torch_peak": 0.4e9,
}


def test_report_gives_medians_within_runs_and_judges_each_target() -> None:
    slow_minute = RUN | {"conventional": 120.0, "job": 60.0}
    lines = format_report([RUN, RUN, slow_minute], "a machine").splitlines()

    assert lines[0] == "a machine"
    speed, share, memory = lines[-3:]
    assert "11.20" in speed
    assert speed.endswith(" met")
    assert "(0.50 to 0.50)" in share
    assert share.endswith(" met")
    assert "2.00" in memory
    assert memory.endswith("MISSED")


def test_conventional_network_has_the_size_of_the_default_one() -> None:
    net = Net().eval()

    output = net(torch.zeros(3, 1, 28, 28))

    assert output.shape == (3, 10)
    assert sum(parameter.numel() for parameter in net.parameters()) == 242_762
    torch.testing.assert_close(output.exp().sum(dim=1), torch.ones(3))
