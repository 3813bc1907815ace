import os

import pytest
import torch

from digits.networks import devices


def test_auto_takes_what_is_there() -> None:
    assert devices.choose("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert devices.choose("cpu").type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_named() -> None:
    with pytest.raises(
        devices.DeviceError, match=r"train.device is 'cuda', but PyTorch .* allowed: auto, cpu"
    ):
        devices.choose("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_is_taken() -> None:
    assert devices.choose("cuda").type == "cuda"


@pytest.mark.parametrize(("threads", "cores"), [(64, 2), (2, 1)])
def test_more_threads_than_cores_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], threads: int, cores: int
) -> None:
    monkeypatch.setattr(devices, "cores", lambda: cores)
    devices.warn_of_threads(threads)
    assert capsys.readouterr().err == (
        f"warning: train.threads is {threads}, but this process may use {cores} of the cores; threads "
        f"that wait for one make each step many times slower; set it to at most {cores}\n"
    )


def test_as_many_threads_as_cores_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    devices.warn_of_threads(1)
    devices.warn_of_threads(devices.cores())
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="nothing binds a process to cores here")
def test_cores_are_those_that_this_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert devices.cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert devices.cores() == len(before)


def test_deterministic_means_that_pytorch_refuses_everything_else() -> None:
    threads = torch.get_num_threads()
    try:
        devices.make_deterministic(threads=1)
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.get_num_threads() == 1
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
