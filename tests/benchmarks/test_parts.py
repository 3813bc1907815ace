"""The parts of `make bench` that small data can try, and its command line."""

import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks import bench, project, step
from benchmarks.figures import Figure, Part, SkippedError, read
from benchmarks.options import Options
from benchmarks.parts import conventional, gpu, jax, jobs, short
from benchmarks.project import PYTHON, ROOT, BenchError
from benchmarks.turns import in_turns
from digits.common.errors import DigitsError
from digits.training.loop import Examples


def random_examples(batches: int) -> Examples:
    torch.manual_seed(1)
    count = 64 * batches
    return Examples(torch.randn(count, 1, 28, 28), torch.randint(10, (count,)))


def test_the_roofline_has_the_products_of_the_loop() -> None:
    values = step.values()
    epoch = step.epoch(values, random_examples(3))
    epoch()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        epoch()
    products = step.products([784, 256, 128, 64, 10], 64)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as alone:
        step.multiply(products, 3)()

    def sizes(found: profile) -> list[list[list[int]]]:
        """Of the factors of every product, whose order is that of no matter."""
        last = {"aten::mm": slice(0, 2), "aten::addmm": slice(1, 3)}
        return sorted(e.input_shapes[last[e.name]] for e in found.events() if e.name in last)

    assert sizes(profiler) == sizes(alone)
    for left, right, out in products:
        torch.testing.assert_close(out, left @ right)


def test_the_convolutions_alone_are_those_of_the_loop() -> None:
    values = step.values(model="cnn", log_interval=1)
    epoch = step.epoch(values, random_examples(2))
    epoch()
    alone = step.convolutions(values.model.build(), 64)

    def sizes(work: Callable[[], object]) -> list[list[list[int]]]:
        """Of gradients, images and weights."""
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
            work()
        names = {"aten::convolution": slice(0, 2), "aten::convolution_backward": slice(0, 3)}
        return sorted(e.input_shapes[names[e.name]] for e in profiler.events() if e.name in names)

    assert sizes(epoch) == sizes(lambda: [convolution() for _ in range(2) for convolution in alone])
    gradients = [found for work in alone if isinstance(found := work(), tuple)]
    without = [of_inputs is None for of_inputs, _, _ in gradients]
    assert without == [True, *[False] * (len(gradients) - 1)], "the images need none"


def test_operations_of_a_step_are_counted() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 26 * 26, 10))
    forward = 26 * 26 * 2 * 9 + 2 * 26 * 26 * 10
    of_weights, of_inputs = forward, 2 * 26 * 26 * 10
    assert step.operations(net, 3) == 2 * 3 * (forward + of_weights + of_inputs)


def test_operators_are_counted_the_same_every_time() -> None:
    values, data = step.values(), random_examples(8)
    first, second = (short.operators(values, data) for _ in range(2))
    assert first == second
    assert first.median > 1, "the products themselves, and more"


def test_modules_that_are_loaded_are_counted() -> None:
    none, some = short.modules(""), short.modules("import json, sqlite3")
    assert 20 < none < some
    with pytest.raises(BenchError, match="No module named 'nowhere'"):
        short.modules("import nowhere")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the part is measured there")
def test_without_a_gpu_its_part_is_skipped_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SkippedError, match="finds no CUDA GPU"):
        gpu.measure(Options())
    assert bench.main(["gpu", "--json", str(tmp_path / "bench.json")]) == 0
    assert "gpu is skipped: PyTorch" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_without_jax_its_part_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XLA_FLAGS", "JAX_PLATFORMS"):  # put back afterwards
        monkeypatch.setenv(name, "")
    monkeypatch.setitem(sys.modules, "jax", None)
    cores = os.sched_getaffinity(0) if sys.platform == "linux" else None
    with pytest.raises(SkippedError, match=r"pip install '\.\[jax\]'"):
        jax.measure(Options())
    if cores:
        assert os.sched_getaffinity(0) == cores, "this process goes on"


def test_stages_are_those_of_the_graph_in_an_order_in_which_they_can_run() -> None:
    stages = project.stages()
    names = list(stages)
    assert names.index("download") < names.index("normalize") < names.index("train") < names.index("report")
    assert stages["train"] == [PYTHON, "-m", "stages.train"]


def test_a_process_that_fails_is_told_with_what_it_said() -> None:
    used = project.measure([PYTHON, "-c", "held = b'1' * 50_000_000"], ROOT, {})
    assert used.seconds > 0
    assert used.peak_bytes > 50_000_000
    with pytest.raises(BenchError, match=r"(?s)ended with 3.*why it failed"):
        project.measure([PYTHON, "-c", "print('why it failed'); raise SystemExit(3)"], ROOT, {})


def test_runs_that_leave_different_hashes_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    written = "dvc.lock of both"

    def measure(command: list[str], workspace: Path, _: object) -> None:
        workspace.joinpath("dvc.lock").write_text(written.format(jobs=command[-1]))

    monkeypatch.setattr(project, "environment", lambda _: {})
    monkeypatch.setattr(project, "clone", Path.mkdir)
    monkeypatch.setattr(project, "measure", measure)
    assert len(jobs.measure(Options(repeats=3)).figures[0].values) == 3
    written = "dvc.lock of {jobs} at a time"
    with pytest.raises(BenchError, match=r"6 runs have left 2 different dvc\.lock"):
        jobs.measure(Options(repeats=3))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["nothing"], "there is no part nothing; there are conventional, roofline"),
        (["--short", "roofline"], "--short is a part by itself"),
        (["--repeats", "0"], "--repeats must be at least 1"),
        (["--images", "9"], "--images must be at least 10"),
    ],
)
def test_a_wrong_command_line_is_told(line: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(line)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("now", "code"), [(1.9, 0), (2.1, 1)])
def test_ci_fails_where_a_ratio_is_worse(now: float, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    committed = {"short": Part([Figure("a / b", [1.0], margin=2.0)])}
    assert bench.compare(Part([Figure("a / b", [now])]), committed) == code
    assert ("error: a / b: 2.1" in capsys.readouterr().err) == bool(code)


def test_without_a_committed_form_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(DigitsError, match="make bench ARGS=short"):
        bench.compare(Part([]), {})


def found_or_failing(name: str, options: Options) -> Part:
    if name == "jobs":
        raise BenchError("why it failed")
    return Part([Figure(f"{name} of {options.repeats}", [1.0])])


def test_a_part_that_fails_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "measure_alone", found_or_failing)
    path = tmp_path / "bench.json"
    assert bench.main(["imports", "jobs", "overhead", "--json", str(path)]) == 1
    assert [*read(path)] == ["overhead", "imports"]
    assert path.with_suffix(".png").stat().st_size
    said = capsys.readouterr()
    assert said.err == "error: jobs: why it failed\n"
    assert "imports of 5" in said.out


def test_what_a_part_would_miss_is_told_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "measure_alone", found_or_failing)
    monkeypatch.setattr(bench, "MADE", (tmp_path / "model.onnx",))
    path = tmp_path / "bench.json"
    assert bench.main(["imports", "roofline", "--json", str(path)]) == 1
    assert (
        capsys.readouterr().err == f"error: {tmp_path / 'model.onnx'} is missing; `make pipeline` makes it\n"
    )
    assert not path.exists()
    assert bench.main(["imports", "--json", str(path)]) == 0


def test_a_file_of_something_else_is_told_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "measure_alone", found_or_failing)
    path = tmp_path / "bench.json"
    path.write_text('{"imports": 1}')
    assert bench.main(["imports", "--json", str(path)]) == 1
    assert f"{path} is not what `make bench` has written" in capsys.readouterr().err
    assert path.read_text() == '{"imports": 1}'


def test_who_begins_changes_from_repeat_to_repeat() -> None:
    begun: list[str] = []
    in_turns({name: partial(begun.append, name) for name in "ab"}, 3, warm=False)
    assert "".join(begun) == "abbaab"


def test_the_script_begins_every_second_time_with_the_images_of_the_first_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []

    def measure(command: list[str], workspace: Path, _: object) -> project.Usage:
        name = command[2].rpartition(".")[2]
        begun.append(name)
        if name == "flows":
            for path in (*conventional.TRAINED, "data/raw/images"):
                (workspace / path).parent.mkdir(parents=True, exist_ok=True)
                (workspace / path).touch()
        elif name == "conventional":
            options = dict(word.split("=") for word in command[3:])
            assert Path(options["--data"], "images").exists()
            Path(options["--json"]).write_text('{"train_seconds": 3, "test_seconds": 1}')
        return project.Usage(2.0, 1_000_000)

    monkeypatch.setattr(project, "environment", lambda _: {})
    monkeypatch.setattr(project, "clone", Path.mkdir)
    monkeypatch.setattr(project, "measure", measure)
    found = conventional.measure(Options(repeats=2))
    job, script = ["flows", "train", "import torch"], ["conventional"]
    assert begun == [*job, *script, *script, *job]
    assert [figure.values for figure in found.figures] == [[1.0, 1.0], [0.5, 0.5], [1.0, 1.0]]
    assert found.sides["import torch [s]"] == 2.0


def test_a_folder_that_is_no_repository_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "ROOT", tmp_path)
    with pytest.raises(BenchError, match=r"git clone .* ended with 128:\n"):
        project.clone(tmp_path / "copy")


def test_nobody_else_is_taken_for_the_server() -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Health) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(BenchError, match=f"port {other.server_port} has a server already"):
            project.server(other.server_port, {}).__enter__()
        other.shutdown()
