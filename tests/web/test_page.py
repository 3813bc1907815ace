"""The page in a real browser: it reads what is drawn, shows the run, and proves itself."""

import csv
import json

import numpy as np
import onnxruntime
import pytest
from playwright.sync_api import Page, expect

from benchmarks import page as bench
from benchmarks.photos import BY_HAND, DRAWINGS
from digits.page import preparation
from tests.project import Project
from tests.web.conftest import OpenPage


def answered(page: Page) -> str:
    """The answer, once there is one for all that is drawn."""
    page.evaluate("import('/main.js').then((main) => main.update())")
    return page.locator("#answer").inner_text()


def ink(page: Page, selector: str) -> int:
    """How many pixels of a canvas are not empty."""
    code = """(canvas) => {
      const { width, height } = canvas;
      const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      const pixels = copy.getImageData(0, 0, width, height).data;
      return pixels.filter((value, place) => place % 4 === 3 && value > 0).length;
    }"""
    return int(page.locator(selector).evaluate(code))


def test_each_digit_drawn_with_the_mouse_is_read(open_page: OpenPage) -> None:
    page = open_page()
    for drawing in BY_HAND:
        bench.draw(page, drawing["strokes"], steps=1)
        assert answered(page) == str(drawing["digit"])
        page.click("#clear")
    assert len(BY_HAND) == 10


def test_drawings_are_read_far_better_when_they_are_prepared(open_page: OpenPage, run: Project) -> None:
    page = open_page()
    found = page.evaluate(bench.READ_ALL, DRAWINGS)
    prepared, shrunk = (found[name]["right"] / len(DRAWINGS) for name in ("prepared", "shrunk"))
    print(f"{len(DRAWINGS)} drawings: {prepared:.1%} right, {shrunk:.1%} without preparation")
    assert len(DRAWINGS) >= 200
    assert prepared > 0.88
    assert shrunk < prepared - 0.3

    drawn = [preparation.rasterize(d["strokes"], 280, 24) for d in DRAWINGS]
    twins = np.array([preparation.prepare(drawing) for drawing in drawn])
    assert np.array_equal(np.array(found["images"]), twins.reshape(-1, 784)), (
        "Python prepares as the page does"
    )
    session = onnxruntime.InferenceSession(run.folder / "models/model.onnx")
    (answers,) = session.run(["log_probabilities"], {"image": twins[:, None]})
    assert "".join(map(str, answers.argmax(axis=1))) == found["prepared"]["digits"]


def test_all_test_images_through_webassembly_are_what_pytorch_says(open_page: OpenPage, run: Project) -> None:
    parity = json.loads(run.text("reports/parity.json"))
    rows = csv.DictReader(run.text("reports/predictions.csv").splitlines())
    torch = "".join(row["predicted"] for row in rows)
    page = open_page()
    code = """async (predictions) => {
      const { compare } = await import("/check.js");
      const { json } = await import("/files.js");
      return compare({ ...(await json("report.json")), predictions });
    }"""
    found = page.evaluate(code, torch)
    assert found["images"] == parity["images"] == 10_000
    assert found["flips"] == 0
    assert round(found["accuracy"], 6) == parity["accuracy_torch"]
    other = str((int(torch[0]) + 1) % 10) + torch[1:]
    assert page.evaluate(code, other)["flips"] == 1, "a difference would be seen"

    page.click("#check")
    expect(page.locator("#check-outcome")).to_contain_text("Equal to PyTorch: accuracy 94.")
    expect(page.locator("#check-outcome")).to_contain_text("over 10,000 images, 0 class flips")


def test_a_blank_canvas_is_not_guessed_at(open_page: OpenPage) -> None:
    page = open_page()
    assert answered(page) == "?"
    expect(page.locator("#words")).to_have_text("The canvas is blank. Draw a digit.")
    expect(page.locator("#bars span").first).to_have_text("\u2013")
    bench.draw(page, BY_HAND[4]["strokes"])
    assert answered(page) == "4"
    shares = [float(text.split()[0]) for text in page.locator("#bars span").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.6)
    page.click("#clear")
    assert answered(page) == "?"
    assert ink(page, "#pad") == ink(page, "#seen") == 0


def test_what_does_not_look_like_a_digit_is_not_guessed_at(open_page: OpenPage) -> None:
    page = open_page()
    grid = [[60, at, 220, at] for at in (60, 140, 220)] + [[at, 60, at, 220] for at in (60, 140, 220)]
    bench.draw(page, grid)
    assert answered(page) == "?"
    expect(page.locator("#words")).to_have_text("This does not look like a digit.")
    page.click("#clear")
    bench.draw(page, BY_HAND[4]["strokes"])
    assert answered(page) == "4"


def test_a_digit_in_doubt_comes_with_the_set_that_has_it(open_page: OpenPage, run: Project) -> None:
    model = onnxruntime.InferenceSession(run.folder / "models/model.onnx")
    metadata = model.get_modelmeta().custom_metadata_map
    page = open_page()
    sizes = set()
    for drawing in BY_HAND:
        bench.draw(page, drawing["strokes"], steps=1)
        best, words = answered(page), page.locator("#words").inner_text()
        seen = page.evaluate("async () => Array.from((await import('/main.js')).drawing.images()[0])")
        image = np.array(seen, np.uint8).reshape(1, 1, 28, 28)
        (logarithms,), (familiar,) = model.run(None, {"image": image})
        if familiar < float(metadata["familiarity_threshold"]):
            assert best == "?"
        else:
            likely = np.flatnonzero(logarithms >= float(metadata["set_threshold"])).tolist() or [int(best)]
            expected = f"{{{', '.join(map(str, likely))}}}"
            assert f"The set that has the right digit in 99\u00a0% of cases: {expected}." in words
            sizes.add(len(likely))
        page.click("#clear")
    assert sizes, "at least one of them is a digit to the network"


def test_undo_goes_back_step_by_step(open_page: OpenPage) -> None:
    page = open_page()
    four = BY_HAND[4]["strokes"]
    bench.draw(page, four[:1])
    before = ink(page, "#pad")
    bench.draw(page, four[1:])
    assert ink(page, "#pad") > before
    page.keyboard.press("Control+z")
    assert ink(page, "#pad") == before
    page.click("#clear")
    page.click("#undo")
    assert ink(page, "#pad") == before, "clearing, too, can be undone"
    page.click("#undo")
    assert answered(page) == "?"
    expect(page.locator("#undo")).to_be_disabled()


def test_the_keyboard_is_enough(open_page: OpenPage) -> None:
    page = open_page()
    for _ in range(5):
        page.keyboard.press("Tab")
        if page.locator("#pad").evaluate("(pad) => pad === document.activeElement"):
            break
    expect(page.locator("#pad")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Space")
    for _ in range(24):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    assert answered(page) == "1"
    expect(page.get_by_role("status").filter(has_text="This is a 1")).to_be_attached()
    page.keyboard.press("Control+z")
    assert answered(page) == "?"
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    assert answered(page) == "?"
    page.locator("#confusion button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#gallery p")).to_contain_text("1, recognized")


def test_a_cell_shows_its_images_and_an_image_goes_onto_the_canvas(open_page: OpenPage, run: Project) -> None:
    rows = list(csv.DictReader(run.text("reports/predictions.csv").splitlines()))
    cell = [number for number, row in enumerate(rows) if (row["actual"], row["predicted"]) == ("7", "2")]
    page = open_page()
    page.get_by_label(f"{len(cell)} images of 7 taken for 2").click()
    expect(page.locator("#gallery .thumbnail")).to_have_count(len(cell))
    page.get_by_label(f"Test image {cell[0]}: 7, taken for 2").first.click()
    assert answered(page) == "2"
    expect(page.locator("#source")).to_contain_text(f"Test image {cell[0]}")
    page.get_by_label("images recognized as 0").click()
    expect(page.locator("#gallery .thumbnail")).to_have_count(48)
    page.get_by_text("Show more").click()
    expect(page.locator("#gallery .thumbnail")).to_have_count(96)


def test_a_mistake_on_the_canvas_is_made_again_and_can_be_drawn_upon(open_page: OpenPage) -> None:
    page = open_page()
    mistake = page.locator("#mistakes .thumbnail").first
    taken_for = mistake.inner_text().split("→")[1].strip()
    mistake.click()
    assert answered(page) == taken_for
    before = ink(page, "#seen")
    bench.draw(page, [[20, 20, 260, 20]])
    assert ink(page, "#seen") != before
    page.click("#undo")
    assert answered(page) == taken_for


def test_the_report_is_that_of_the_run(open_page: OpenPage, run: Project) -> None:
    metrics = json.loads(run.text("reports/metrics.json"))
    page = open_page()
    expect(page.locator("#figures")).to_contain_text(f"{metrics['accuracy']:.2%}".replace("%", "\u00a0%"))
    expect(page.locator("#verdict")).to_have_text("Passed")
    expect(page.locator("#certificate")).to_contain_text("largest difference")
    expect(page.locator("#configurations tbody tr")).to_have_count(
        len(json.loads(run.text("reports/parity.json"))["configurations"])
    )
    expect(page.locator("#parameters")).to_contain_text("train.solver")
    digest = run.run("sha256sum", "models/model.onnx").stdout.split()[0]
    expect(page.locator("#hashes")).to_contain_text(digest)
    expect(page.locator(".charts polyline")).to_have_count(2)
    expect(page.locator("#epochs tbody tr")).to_have_count(5)
