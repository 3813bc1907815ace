"""Nothing is cut off, however narrow the screen and long the words; and the words are English."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from benchmarks import page as bench
from benchmarks.photos import BY_HAND
from tests.web.conftest import OpenPage
from tests.web.test_page import answered, ink

LONG = "x" * 200
WIDTHS = (1280, 390, 360, 280)
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
CLIPPED = """() => [...document.querySelectorAll("#confusion button")].filter(
  (button) => button.scrollWidth > button.clientWidth).length"""


def changed(page: Page, site: Path, change: Callable[[Any], None], width: int = 1280) -> None:
    """The page anew, of a report that differs."""
    report = copy.deepcopy(json.loads((site / "report.json").read_text()))
    change(report)

    def answer(route: Route) -> None:
        route.fulfill(json=report)

    page.route("**/report.json", answer)
    page.set_viewport_size({"width": width, "height": 800})
    page.reload()
    bench.wait_until_ready(page)


def assert_fits(page: Page, width: int) -> None:
    """Nothing lies beyond the screen or is cut, and the frame of the paper is that of the canvas."""
    assert page.evaluate(OVERFLOW) <= 0, width
    assert page.evaluate(CLIPPED) == 0, width
    paper, pad = (page.locator(name).bounding_box() for name in (".sheets > .paper", "#pad"))
    assert paper
    assert pad
    assert paper["height"] - pad["height"] < 4


def test_no_screen_is_too_narrow(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    named = tmp_path / f"{LONG}.svg"
    named.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300">'
        '<path d="M80 60h140L120 250" stroke="black" stroke-width="20" fill="none"/></svg>'
    )
    page.set_input_files("#picture", str(named))
    expect(page.locator("#source")).to_contain_text(LONG)
    assert answered(page) == "7", "a drawing of lines is a picture, too"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert_fits(page, width)
        values = page.locator("#parameters td").evaluate_all("(all) => all.map((one) => one.clientWidth)")
        assert min(values) > 0.4 * page.locator("#parameters").evaluate("(table) => table.clientWidth")


@pytest.mark.parametrize("count", [3, 10])
def test_classes_with_long_names_fit(open_page: OpenPage, site: Path, count: int) -> None:
    def change(report: Any) -> None:
        report["data"] |= {"thing": "an image", "classes": [f"{at}{LONG}" for at in range(count)]}
        report["classes"] = report["classes"][:count]
        if count < 10:
            for key in ("labels", "predictions"):
                report[key] = report[key].translate(str.maketrans("3456789", "0120120"))
            report["mistakes"] = []

    page = open_page()
    for width in WIDTHS:
        changed(page, site, change, width)
        bench.draw(page, BY_HAND[1]["strokes"], steps=1)
        expect(page.locator("#certainty")).to_be_visible()
        assert_fits(page, width)
        page.unroute("**/report.json")


def test_facts_are_words_and_no_mistakes_are_none(open_page: OpenPage, site: Path) -> None:
    page = open_page()
    for table in ("#certificate", "#data", "#parameters", "#model"):
        assert not {"{", "}", '"'} & set(page.locator(table).inner_text())
    expect(page.locator("#certificate")).to_contain_text("rival ")
    changed(page, site, lambda report: report.update(mistakes=[]) or report["metrics"].update(mistakes=0))
    expect(page.locator("#mistakes-words")).to_have_text("There are none.")


def test_articles_and_numbers_are_those_of_english(open_page: OpenPage) -> None:
    page = open_page()
    found = page.evaluate(
        """async () => {
      const { short, withArticle } = await import("/words.js");
      return [[..."0189AHUあ"].map(withArticle), [280, 28, 1234567, 0.0123, 2.8e-9].map(short)];
    }"""
    )
    assert found == [
        ["a 0", "a 1", "an 8", "a 9", "an A", "an H", "a U", "a あ"],
        ["280", "28", "1.2 · 10^6", "0.012", "2.8 · 10^-9"],
    ]
    bench.draw(page, BY_HAND[8]["strokes"], steps=1)
    assert answered(page) == "8"
    expect(page.locator("#words")).to_contain_text("This is an 8, ")
    expect(page.locator("#certainty")).to_contain_text("reads an 8 here")


def test_a_tap_is_seen(open_page: OpenPage) -> None:
    page = open_page()
    box = page.locator("#pad").bounding_box()
    assert box
    page.mouse.click(box["x"] + 90, box["y"] + 90)
    dot = ink(page, "#pad")
    assert dot > 300
    page.mouse.click(box["x"] + 190, box["y"] + 190)
    assert ink(page, "#pad") == pytest.approx(2 * dot, rel=0.1)
    page.click("#undo")
    assert ink(page, "#pad") == dot


@pytest.mark.parametrize("key", ["drawing", "Escape"])
def test_what_was_wrong_with_a_picture_is_not_said_of_the_next_drawing(
    open_page: OpenPage, tmp_path: Path, key: str
) -> None:
    page = open_page()
    (tmp_path / "notes.txt").write_text("no picture\n")
    page.set_input_files("#picture", str(tmp_path / "notes.txt"))
    expect(page.locator("#picture-failure")).to_be_visible()
    if key == "drawing":
        bench.draw(page, BY_HAND[1]["strokes"])
    else:
        page.keyboard.press(key)
    expect(page.locator("#picture-failure")).to_be_hidden()
