"""The commands of each example's README, as they stand there, on all real test images."""

import csv
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from benchmarks.photos import BY_HAND
from digits.page.preparation import rasterize
from tests.patience import PATIENCE
from tests.project import ROOT, Project
from tests.shared import free_port

IMAGES = "data/raw/t10k-images-idx3-ubyte"
EXAMPLES = sorted(readme.parent.name for readme in (ROOT / "examples").glob("*/README.md"))
NEEDED = {"python": [], "node": ["node", "npm"], "browser": ["npm"], "cpp": ["g++", "make"], "photo": []}
ON_TEST_IMAGES = ("python", "node", "cpp")


@pytest.fixture(scope="module")
def project(default_run: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a model."""
    return default_run.copy(tmp_path_factory.mktemp("examples") / "project")


def commands(example: str) -> list[str]:
    """The commands of its README, each block's after the one before."""
    for command in NEEDED[example]:
        if not shutil.which(command):
            pytest.skip(f"{command} is not installed")
    text = (ROOT / "examples" / example / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == (2 if example == "photo" else 1)
    return [line for block in blocks for line in str(block).splitlines()]


def run(project: Project, example: str, command: str) -> str:
    folder = project.folder / "examples" / example
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=project.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def check(output: str, project: Project) -> None:
    """One line for each test image: PyTorch's digit, and a probability that an answer can have."""
    lines = [line.split() for line in output.splitlines()]
    rows = csv.DictReader(project.text("reports/predictions.csv").splitlines())
    assert [digit for digit, _ in lines] == [row["predicted"] for row in rows]
    assert len(lines) == 10_000
    assert all(0.1 <= float(probability) <= 1.00001 for _, probability in lines)


def test_each_example_has_three_commands_and_is_in_the_table() -> None:
    assert sorted(NEEDED) == EXAMPLES
    table = (ROOT / "examples/README.md").read_text()
    for example in EXAMPLES:
        assert f"[{example}]({example})" in table


@pytest.mark.parametrize("example", ON_TEST_IMAGES)
def test_the_commands_give_the_answers_of_pytorch(example: str, project: Project) -> None:
    steps = commands(example)
    assert len(steps) == 3
    *preparations, last = steps
    for command in preparations:
        run(project, example, command)
    check(run(project, example, last), project)


@contextmanager
def served(project: Project, command: str, example: str = "browser") -> Iterator[str]:
    """The address that a web server's command serves, on a port that is free, within this block."""
    port = free_port()
    folder, address = project.folder / "examples" / example, f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command.replace("8000", str(port)).split(),
        cwd=folder,
        env=project.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            for _ in range(100):
                try:
                    urllib.request.urlopen(address, timeout=10).close()
                    break
                except urllib.error.URLError:
                    time.sleep(0.1)
            yield address
        finally:
            server.terminate()


def test_a_browser_gives_the_answers_of_pytorch(project: Project, browser: Browser) -> None:
    steps = commands("browser")
    assert len(steps) == 3
    *preparations, last = steps
    for command in preparations:
        run(project, "browser", command)
    with served(project, last) as address:
        page = browser.new_page()
        page.goto(address)
        expect(page.locator("input")).to_be_enabled()
        page.set_input_files("input", str(project.folder / Path(IMAGES)))
        expect(page.locator("pre")).not_to_be_empty()
        check(page.locator("pre").inner_text(), project)


def test_a_photo_is_read_in_python_and_in_a_browser(project: Project, browser: Browser) -> None:
    *preparations, read, serve = commands("photo")
    for command in preparations:
        run(project, "photo", command)
    said = run(project, "photo", read).split()
    assert said[::2] == ["3", "7", "4"]
    with served(project, serve, "photo") as address:
        page = browser.new_page()
        page.goto(f"{address}/examples/photo/")
        page.wait_for_load_state("networkidle")
        page.set_input_files("input", str(project.folder / "examples/photo/photo.jpg"))
        expect(page.locator("pre")).not_to_be_empty()
        shown = page.locator("pre").inner_text().split()
        notes = project.folder / "notes.png"
        notes.write_text("no picture\n")
        page.set_input_files("input", str(notes))
        expect(page.locator("pre")).to_have_text("notes.png is no picture that this browser can open.")
        page.close()
    assert shown[::2] == said[::2]
    assert np.allclose(np.array(shown[1::2], float), np.array(said[1::2], float), atol=0.02)


FAULTS = {
    "text.png": "is no PNG or JPEG file, whatever its name says",
    "empty.png": "is no PNG or JPEG file, whatever its name says",
    "lines.svg": "is no PNG or JPEG file, whatever its name says",
    "cut.jpg": "is not whole: ",
    "huge.png": "is 12000 by 9000 pixels; 10000 is the most",
    "missing.png": "cannot be read: No such file or directory",
}


def read(project: Project, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "examples/photo/read.py"), *arguments]
    env = {**project.env, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=project.folder, env=env, capture_output=True, text=True, timeout=PATIENCE
    )


def test_what_is_no_photo_or_no_model_is_one_line(project: Project) -> None:
    folder = project.folder
    (folder / "text.png").write_text("no picture\n")
    (folder / "empty.png").touch()
    (folder / "lines.svg").write_text("<svg/>\n")
    (folder / "cut.jpg").write_bytes((ROOT / "examples/photo/photo.jpg").read_bytes()[:9000])
    Image.new("1", (12_000, 9_000)).save(folder / "huge.png")
    for name, words in FAULTS.items():
        done = read(project, "models/model.onnx", name)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {name} {words}")
        assert len(done.stderr.splitlines()) == 1, done.stderr
    for model in ("missing.onnx", "text.png"):
        done = read(project, model, "text.png")
        assert done.stderr.startswith(f"error: {model} is no model of digits: ")
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert read(project).stderr == "usage: read.py MODEL PHOTO\n"


def test_what_is_transparent_is_paper_and_16_bits_are_grey(project: Project) -> None:
    drawn = rasterize(BY_HAND[3]["strokes"], 280, 24)
    Image.fromarray(255 - drawn).save(project.folder / "plain.png")
    Image.fromarray((255 - drawn).astype(np.uint16) * 257).save(project.folder / "deep.png")
    clear = np.zeros((280, 280, 4), np.uint8)
    clear[..., 3] = drawn
    Image.fromarray(clear).save(project.folder / "clear.png")
    said = {read(project, "models/model.onnx", f"{name}.png").stdout for name in ("plain", "deep", "clear")}
    assert len(said) == 1
    assert said.pop().startswith("3 ")
