"""The page on a phone, in the dark, without a network, read aloud, and when something fails."""

import io
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
from playwright.sync_api import CDPSession, Page, expect

from benchmarks import page as bench
from digits.shift.strokes import recorded
from tests.web.conftest import OpenPage

DRAWINGS = recorded()


def touch(session: CDPSession, page: Page, stroke: list[int]) -> None:
    """Draw with a finger."""
    box = page.locator("#pad").bounding_box()
    assert box
    kind = "touchStart"
    for x, y in zip(stroke[::2], stroke[1::2], strict=True):
        at = {"x": box["x"] + x * box["width"] / 280, "y": box["y"] + y * box["height"] / 280}
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
        kind = "touchMove"
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def serious(page: Page, axe: str) -> list[str]:
    """What axe finds of serious or critical impact."""
    page.evaluate(axe)
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    assert len(found["passes"]) > 10
    return [
        f"{rule['id']}: {rule['help']}: {node['html']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", bench.SCHEMES)
@pytest.mark.parametrize("view", bench.VIEWS)
def test_every_view_is_readable_and_open_to_everybody(
    open_page: OpenPage, axe: str, tmp_path: Path, view: str, scheme: str
) -> None:
    settings: dict[str, Any] = bench.VIEWS[view]
    page = open_page(color_scheme=scheme, reduced_motion="reduce", **settings)
    bench.draw(page, DRAWINGS[3]["strokes"])
    page.get_by_label("images of 4 taken for 9").click()
    expect(page.locator("#gallery .thumbnail").first).to_be_visible()
    page.locator("details").evaluate_all("(all) => all.forEach((details) => (details.open = true))")
    bench.wait_until_ready(page)
    assert serious(page, axe) == []
    width = settings["viewport"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is beyond the edge"
    small = (
        "(all) => all.filter((e) => e.textContent && parseFloat(getComputedStyle(e).fontSize) < 11).length"
    )
    assert page.locator("p, td, th, dd, dt, span, button, figcaption").evaluate_all(small) == 0

    page.evaluate("scrollTo(0, 0)")
    content = page.screenshot(path=tmp_path / f"page-{view}-{scheme}.png")
    picture = matplotlib.image.imread(io.BytesIO(content))
    assert picture.shape[1] == width * settings.get("device_scale_factor", 1)
    brightness = float(picture[..., :3].mean())
    assert brightness > 0.75 if scheme == "light" else brightness < 0.25
    assert picture[..., :3].std() > 0.1, "there is something on it"


def test_a_finger_draws_on_a_phone(open_page: OpenPage) -> None:
    page = open_page(**bench.VIEWS["phone"])
    session = page.context.new_cdp_session(page)
    for stroke in DRAWINGS[4]["strokes"]:
        touch(session, page, stroke)
    bench.wait_until_ready(page)
    expect(page.locator("#answer")).to_have_text("4")
    assert page.evaluate("scrollY") == 0, "the page has not moved under the finger"


def test_once_loaded_it_needs_no_network(open_page: OpenPage, complaints: list[str]) -> None:
    page = open_page()
    page.context.set_offline(True)
    bench.draw(page, DRAWINGS[7]["strokes"])
    bench.wait_until_ready(page)
    expect(page.locator("#answer")).to_have_text("7")
    page.locator("#mistakes .thumbnail").first.click()
    expect(page.locator("#source")).to_contain_text("Test image")
    assert complaints == []

    page.get_by_label("images of 4 taken for 9").click()
    expect(page.locator("#gallery")).to_contain_text("test-images.gz did not arrive: there is no connection")
    page.context.set_offline(False)
    page.get_by_label("images of 4 taken for 9").click()
    expect(page.locator("#gallery .thumbnail").first).to_be_visible()
    assert all("ERR_INTERNET_DISCONNECTED" in complaint for complaint in complaints), complaints
    complaints.clear()


def test_the_theme_follows_the_system_until_the_button_is_pressed(open_page: OpenPage) -> None:
    page = open_page(color_scheme="light")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "dark")
    page.click("#theme")
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    bench.wait_until_ready(page)
    expect(root).to_have_attribute("data-theme", "light")


def test_what_does_not_arrive_is_named(open_page: OpenPage, complaints: list[str]) -> None:
    page = open_page(ready=False)
    page.context.route("**/model.onnx", lambda route: route.fulfill(status=404))
    page.reload()
    expect(page.get_by_role("alert")).to_have_text(
        "model.onnx did not arrive: the server says 404. Reload the page to try again."
    )
    expect(page.locator("#loading")).to_have_count(0)
    expect(page.locator("#figures")).to_contain_text("accuracy")
    assert any("404" in complaint for complaint in complaints)
    complaints.clear()
