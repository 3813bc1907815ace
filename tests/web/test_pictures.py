"""Several digits, photos and pictures on the page, and a page that is opened as a file."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks import page as bench
from benchmarks.photos import BY_HAND, photo
from digits.page.parts import parts
from digits.page.photo import sheet
from digits.page.preparation import prepare
from tests.project import Project
from tests.web.conftest import OpenPage
from tests.web.test_page import answered

Strokes = list[list[int]]
WRITTEN = (3, 7, 4)


def beside(digit: int, left: int) -> Strokes:
    """A digit of half its size, with its left side there."""
    strokes: Strokes = BY_HAND[digit]["strokes"]
    return [[v // 2 + (left if at % 2 == 0 else 70) for at, v in enumerate(stroke)] for stroke in strokes]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo([BY_HAND[digit] for digit in WRITTEN], np.random.default_rng(11), (600, 800)))
    return path


def test_digits_side_by_side_are_read_one_by_one(open_page: OpenPage) -> None:
    page = open_page()
    bench.draw(page, [[60, 70, 60, 210]])
    assert answered(page) == "1"
    expect(page.locator("#parts")).to_be_hidden()
    bench.draw(page, beside(2, 110))
    assert answered(page) == "12"
    expect(page.locator("#parts button")).to_have_count(2)
    expect(page.locator("#words")).to_contain_text("This reads 12. Part 1 of 2: This is a 1,")
    page.get_by_label("Part 2 of 2").click()
    expect(page.locator("#words")).to_contain_text("Part 2 of 2: This is a 2,")
    expect(page.locator("#bars .best b")).to_have_text("2")
    page.click("#undo")
    assert answered(page) == "1"


def test_a_part_that_is_no_digit_is_refused_beside_one_that_is(open_page: OpenPage) -> None:
    page = open_page()
    bench.draw(page, [[30, 60, 30, 220]])
    across, down = (100, 180, 260), (60, 140, 220)
    grid = [[100, at, 260, at] for at in down] + [[at, 60, at, 220] for at in across]
    bench.draw(page, grid)
    assert answered(page) == "1?"


@pytest.mark.parametrize("how", ["chosen", "dropped", "pasted"])
def test_a_photo_is_read(open_page: OpenPage, run: Project, picture: Path, how: str) -> None:
    page = open_page()
    if how == "chosen":
        page.set_input_files("#picture", str(picture))
    else:
        hand_over(page, picture, "drop" if how == "dropped" else "paste")
    expect(page.locator("#parts button")).to_have_count(3)
    read = answered(page)
    ink = sheet(grey_in(page, picture))
    assert ink is not None
    images = np.stack([image for part in parts(ink) if (image := prepare(part)) is not None])
    seen = page.evaluate(
        "import('/main.js').then(({ drawing }) => drawing.images().map((i) => Array.from(i)))"
    )
    assert np.array_equal(np.array(seen, np.uint8).reshape(images.shape), images)
    model = onnxruntime.InferenceSession(run.folder / "models/model.onnx")
    (logarithms,) = model.run(["log_probabilities"], {"image": images[:, None]})
    assert read == "".join(map(str, logarithms.argmax(axis=1))) == "374"
    expect(page.locator("#source")).to_contain_text("photo.jpg")
    page.click("#undo")
    assert answered(page) == "?"


def hand_over(page: Page, path: Path, event: str) -> None:
    """Drop or paste a file: what the browser does with one of the system's."""
    code = """([bytes, name, event]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(bytes)], name, { type: "image/jpeg" }));
      const made = event === "drop"
        ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
        : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
      document.body.dispatchEvent(made);
    }"""
    page.evaluate(code, [list(path.read_bytes()), path.name, event])


def grey_in(page: Page, path: Path) -> Any:
    """The grey values that this browser decodes: JPEG leaves room for the last bit."""
    # As a PNG: two million numbers, one by one, take half a minute.
    code = """async (bytes) => {
      const picture = await createImageBitmap(new Blob([Uint8Array.from(bytes)]));
      const canvas = new OffscreenCanvas(picture.width, picture.height);
      canvas.getContext("2d").drawImage(picture, 0, 0);
      const reader = new FileReader();
      reader.readAsDataURL(await canvas.convertToBlob());
      await new Promise((resolve) => reader.addEventListener("load", resolve));
      return reader.result.split(",")[1];
    }"""
    png = base64.b64decode(page.evaluate(code, list(path.read_bytes())))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB").convert("L"))


def test_what_cannot_be_read_is_said(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    blank, text = tmp_path / "blank.png", tmp_path / "notes.txt"
    Image.new("L", (90, 60), 200).save(blank)
    text.write_text("no picture\n")
    bench.draw(page, BY_HAND[4]["strokes"])
    page.set_input_files("#picture", str(blank))
    line = page.locator("#picture-failure")
    expect(line).to_have_text("Nothing stands out from the paper in this picture.")
    page.set_input_files("#picture", str(text))
    expect(line).to_have_text("notes.txt is no picture that this browser can open.")
    assert answered(page) == "4", "what was there stays"


def test_a_pen_that_the_browser_forgets_does_not_stop_the_next(
    open_page: OpenPage, complaints: list[str]
) -> None:
    page = open_page()
    page.locator("#pad").dispatch_event(
        "pointerdown", {"pointerId": 77, "isPrimary": True, "clientX": 90, "clientY": 150}
    )
    page.click("#clear")
    bench.draw(page, BY_HAND[4]["strokes"])
    assert answered(page) == "4"
    assert [line for line in complaints if "setPointerCapture" not in line] == []
    complaints.clear()


def test_opened_as_a_file_the_page_says_how_to_serve_it(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    expect(page.locator("#failure")).to_have_text(
        re.compile(r"opened as a file.* Serve its folder: run `make web`.*127\.0\.0\.1:8000")
    )
    expect(page.locator("#loading")).to_have_count(0)
    page.close()
