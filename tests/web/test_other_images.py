"""A folder of pictures of three classes, from the files to the ONNX model and the page."""

import csv
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, expect
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from benchmarks import page as bench
from digits.common.about import METADATA, About
from digits.parameters import schema
from tests.project import Project, copy_project

CLASSES = ["circle", "cross", "three sides"]
Corner = Callable[[float, float], tuple[float, float]]


def draw(path: Path, kind: str, generator: random.Random) -> None:
    """One of them, dark on light, somewhere on a piece of paper of some size."""
    width, height, size = (generator.randint(*sizes) for sizes in ((90, 160), (90, 160), (50, 80)))
    left, top = generator.randint(5, width - size - 5), generator.randint(5, height - size - 5)
    image = Image.new("L", (width, height), 255)
    pen = ImageDraw.Draw(image)
    thick = generator.randint(5, 9)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * size + generator.uniform(-4, 4), top + y * size + generator.uniform(-4, 4)

    if kind == "circle":
        pen.ellipse((left, top, left + size, top + size), outline=0, width=thick)
    elif kind == "cross":
        pen.line((at(0, 0), at(1, 1)), fill=0, width=thick)
        pen.line((at(0, 1), at(1, 0)), fill=0, width=thick)
    else:
        corners = (at(0.5, 0), at(0, 1), at(1, 1))
        pen.polygon(corners, outline=0, width=thick)
    image.save(path)


@pytest.fixture(scope="module")
def run(costly: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has learned from 200 such pictures; what it printed is in `said`."""
    folder = tmp_path_factory.mktemp("shapes")
    project = copy_project(folder / "project", folder / "home")
    generator = random.Random(1)
    for number in range(200):
        path = (
            project.folder / "images/shapes" / CLASSES[number % 3] / f"{number}.{('png', 'jpg')[number % 2]}"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(path, CLASSES[number % 3], generator)
    changes = {"data.set": "folder", "data.images": "images/shapes", "sets.folder.min_accuracy": 0.8}
    changes |= {"train.solver": "adamw", "train.epochs": 40, "train.batch_size": 20, "train.log_interval": 8}
    schema.write(
        project.folder / "params.yaml", {**changes, "verify.batch_sizes": [64], "verify.near_ties": 10}
    )
    (folder / "said").write_text(project.dvc("repro").stdout)
    return project


def test_the_model_has_the_names_of_the_folders(run: Project) -> None:
    said = (run.folder.parent / "said").read_text()
    assert "images/shapes: 67 of circle, 67 of cross, 66 of three sides" in said
    session = onnxruntime.InferenceSession(run.folder / "models/model.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == CLASSES
    assert json.loads(metadata["data"])["set"] == "folder"
    assert [output.shape for output in session.get_outputs()] == [["batch", 3], ["batch"]]
    assert (metadata["coverage"], metadata["calibration_images"]) == ("0.9", "26")
    assert [row["class"] for row in csv.DictReader(run.text("reports/classes.csv").splitlines())] == CLASSES
    rows = list(csv.DictReader(run.text("reports/predictions.csv").splitlines()))
    assert {row["actual"] for row in rows} == set(CLASSES)
    tested = json.loads(run.text("reports/data.json"))["tested_on"]
    assert tested["images"] == {"train": 161, "t10k": len(rows)}
    assert json.loads(run.text("reports/parity.json"))["class_flips"] == 0
    with safe_open(run.folder / "models/calibration.safetensors", framework="np") as file:
        assert file.get_tensor("basis").shape == (3, 30, 196)


def test_the_page_names_what_is_drawn(run: Project, browser: Browser) -> None:
    complaints: list[str] = []
    with bench.serving(run.folder / "reports/page") as address:
        context = browser.new_context(**bench.VIEWS["desktop"])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        bench.wait_until_ready(page)
        expect(page.locator("#words")).to_have_text("The canvas is blank. Draw an image of these classes.")
        expect(page.locator("#bars b")).to_have_text(CLASSES)
        bench.draw(page, [[60, 60, 220, 220], [220, 60, 60, 220]])
        expect(page.locator("#words")).to_have_text(
            re.compile(
                r"This looks like: cross, with a probability of [\d.]+\s%\. "
                r"The set that has the right class in 90\s%\sof cases: \{([a-z ]+, )*cross(, [a-z ]+)*\}\."
            )
        )
        page.click("#clear")
        bench.draw(page, [[x, 60, x, 220] for x in range(60, 221, 32)])
        expect(page.locator("#words")).to_have_text("This does not look like an image of these classes.")
        expect(page.locator("#answer")).to_have_text("?")
        expect(page.locator("#confusion tbody th")).to_have_text(CLASSES)
        cell = page.get_by_label("images recognized as cross")
        cell.focus()
        page.keyboard.press("ArrowDown")
        expect(page.locator("#confusion tr:nth-child(3) td:nth-child(3) button")).to_be_focused()
        page.click("#check")
        expect(page.locator("#check-outcome")).to_contain_text("0 class flips")
        expect(page.locator("#check-outcome")).to_contain_text("Equal to PyTorch")
        context.close()
    assert complaints == []


def test_a_picture_that_changes_is_fetched_again(run: Project) -> None:
    path = run.folder / "images/shapes/cross/1.jpg"
    before = path.read_bytes()
    path.write_bytes((run.folder / "images/shapes/cross/7.jpg").read_bytes())
    assert "images/shapes" in run.dvc("status", "download").stdout
    path.write_bytes(before)
    assert "up to date" in run.dvc("status", "download").stdout


def one_line(run: Project, *command: str) -> str:
    done = run.run(*command, check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert done.stdout.endswith(f"{line}\n")
    return line


def test_images_of_another_set_are_one_line(run: Project) -> None:
    """Stages are run by hand here, one whose input is not what params.yaml asks for."""
    text = run.text("params.yaml")
    schema.write(run.folder / "params.yaml", {"data.set": "mnist"})
    try:
        for stage, place in (("normalize", "data/raw"), ("train", "data/normalized/train.safetensors")):
            assert one_line(run, "python", "-m", f"stages.{stage}") == (
                f"error: data.set is 'mnist', but {place} holds folder (own images); `dvc repro` runs the "
                "stages that fetch and normalize what is asked for"
            )
    finally:
        (run.folder / "params.yaml").write_text(text)


def test_own_files_of_normalized_images_are_checked_and_told_from_the_raw_ones(run: Project) -> None:
    path = run.folder / "data/normalized/test.safetensors"
    before = path.read_bytes()
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    try:
        wrong = {**tensors, "labels": tensors["labels"] + 15}
        save_file(wrong, path, metadata)
        assert "image 0 has the label 15, but the 3 classes of own images end at 2" in one_line(
            run, "python", "-m", "stages.evaluate"
        )
        about = json.loads(metadata[METADATA])
        about["sha256"] = dict.fromkeys(about["sha256"], "00" * 32)
        save_file(
            {**tensors, "images": np.zeros_like(tensors["images"])}, path, {METADATA: json.dumps(about)}
        )
        assert "data/normalized/test.safetensors was not made from data/raw" in one_line(
            run, "python", "-m", "stages.verify"
        )
        assert "models/model.safetensors is of folder" in one_line(run, "python", "-m", "stages.evaluate")
    finally:
        path.write_bytes(before)


def test_the_calibration_is_of_the_images_of_the_model(run: Project) -> None:
    answers = run.folder / "models/crossfit.safetensors"
    before = answers.read_bytes()
    try:
        save_file(load_file(answers), answers, {METADATA: About.unnamed().text})
        said = one_line(run, "python", "-m", "stages.calibrate")
        assert "but models/crossfit.safetensors of unnamed with 10 classes" in said
    finally:
        answers.write_bytes(before)
    text = run.text("params.yaml")
    schema.write(run.folder / "params.yaml", {"sets.folder.coverage": 0.99})
    try:
        assert one_line(run, "python", "-m", "stages.calibrate").startswith(
            "error: the coverage is 0.99, which takes more than 26 images set aside; lower it to 0.962"
        )
    finally:
        (run.folder / "params.yaml").write_text(text)
