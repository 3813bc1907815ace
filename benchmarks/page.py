"""How the page of a run loads and answers, in headless Chromium; `make report` comes first."""

import argparse
import functools
import itertools
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from digits.runtimes._browser import find_browser
from digits.shift.strokes import recorded

PAGE = Path("reports/page")
VIEWS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 860}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
SCHEMES = ("light", "dark")


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a web server for static files, as `make web` is one, within this block."""
    handler = functools.partial(_Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@contextmanager
def launched(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=Path(__file__).with_name("chromium.py"),
            env={**os.environ, "CHROMIUM": chromium},
            args=["--no-sandbox"],
        )
        yield browser
        browser.close()


def wait_until_ready(page: Page) -> None:
    """Until the network has answered and the report is shown."""
    page.evaluate("import('/main.js').then(async (main) => { await main.ready; await main.update(); })")


def draw(page: Page, strokes: list[list[int]], steps: int = 3) -> None:
    """Draw with the mouse; the strokes are in pixels of the 280 that the canvas is wide."""
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    assert box
    for stroke in strokes:
        points = [
            (box["x"] + x * box["width"] / 280, box["y"] + y * box["height"] / 280)
            for x, y in zip(stroke[::2], stroke[1::2], strict=True)
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for x, y in points[1:]:
            page.mouse.move(x, y, steps=steps)
        page.mouse.up()


def measure_load(browser: Browser, address: str) -> tuple[int, float]:
    """Bytes over the wire, and seconds until an answer is possible, with nothing in the cache."""
    context = browser.new_context(**VIEWS["desktop"])
    page = context.new_page()
    received: list[int] = []
    network = context.new_cdp_session(page)
    network.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    network.send("Network.enable")
    began = time.perf_counter()
    page.goto(address)
    wait_until_ready(page)
    seconds = time.perf_counter() - began
    context.close()
    return int(sum(received)), seconds


def measure_strokes(browser: Browser, address: str) -> list[float]:
    """Milliseconds of each update of bars and picture while ten digits are drawn."""
    context = browser.new_context(**VIEWS["desktop"])
    page = context.new_page()
    page.goto(address)
    wait_until_ready(page)
    times: list[float] = []
    for drawing in recorded()[:10]:
        page.evaluate(
            "import('/main.js').then(({ times, drawing }) => { drawing.clear(); times.length = 0; })"
        )
        draw(page, drawing["strokes"])
        times += page.evaluate(
            "import('/main.js').then(async (main) => { await main.update(); return main.times; })"
        )
    context.close()
    return times


def compare_preparation(browser: Browser, address: str) -> dict[str, Any]:
    """How many drawings are read rightly, prepared as MNIST was and only made smaller."""
    context = browser.new_context(**VIEWS["desktop"])
    page = context.new_page()
    page.goto(address)
    wait_until_ready(page)
    found: dict[str, Any] = page.evaluate(READ_ALL, recorded())
    context.close()
    return found


READ_ALL = """async (drawings) => {
  const { classify, predictions } = await import("/classifier.js");
  const { PEN, SIZE } = await import("/drawing.js");
  const { prepare, rasterize, shrink } = await import("/prepare.js");
  const inks = drawings.map(({ strokes }) => rasterize(strokes, SIZE, PEN));
  const read = async (images) => {
    const together = new Uint8Array(784 * images.length);
    images.forEach((image, number) => together.set(image, 784 * number));
    const digits = predictions(await classify(together));
    return { digits, right: drawings.filter(({ digit }, number) => digits[number] === String(digit)).length };
  };
  const prepared = inks.map((ink) => prepare(ink, SIZE));
  return {
    prepared: await read(prepared),
    shrunk: await read(inks.map((ink) => shrink(ink, SIZE))),
    images: prepared.map((image) => Array.from(image)),
  };
}"""


SCENES: dict[str, list[list[int]]] = {
    "letter": [[60, 230, 80, 50, 140, 170, 200, 50, 220, 230]],
    "12": [[70, 60, 70, 220], [130, 100, 150, 70, 190, 70, 205, 100, 180, 150, 130, 215, 220, 215]],
    "photo": [],
}
"""Strokes of an M and of two digits; for none, the photo."""
PHOTO = Path("examples/photo/photo.jpg")


def take_screenshots(browser: Browser, address: str, folder: Path) -> None:
    """Desktop and phone, light and dark, each with a digit drawn."""
    drawings = recorded()
    variants = itertools.product(VIEWS.items(), SCHEMES)
    for digit, ((view, settings), scheme) in zip((3, 5, 2, 8), variants, strict=True):
        context = browser.new_context(color_scheme=scheme, **settings)
        page = context.new_page()
        page.goto(address)
        wait_until_ready(page)
        draw(page, drawings[digit]["strokes"])
        page.mouse.move(0, 0)
        page.wait_for_timeout(300)  # the bars' movement
        page.get_by_text("The answer stays the same if").wait_for()  # the proofs
        page.screenshot(path=folder / f"page-{view}-{scheme}.png")
        if scheme == "light":
            take_scenes(page, view, folder)
        context.close()


def take_scenes(page: Page, view: str, folder: Path) -> None:
    """A letter that is refused, two digits, a photo that is read."""
    for scene, strokes in SCENES.items():
        page.click("#clear")
        if strokes:
            draw(page, strokes)
        else:
            page.set_input_files("#picture", str(PHOTO))
            page.locator("#parts button").nth(1).click()
        page.mouse.move(0, 0)
        page.wait_for_timeout(500)  # the bars' movement, and the proofs
        page.screenshot(path=folder / f"page-{view}-{scene}.png")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument(
        "--screenshots", type=Path, metavar="FOLDER", help="put pictures of the page there, too"
    )
    arguments = parser.parse_args()
    chromium = find_browser()
    if not chromium:
        sys.exit("error: there is no Chromium or Chrome on this machine")
    if not (PAGE / "index.html").exists():
        sys.exit(f"error: {PAGE} is missing; `make report` builds it")
    with serving(PAGE) as address, launched(chromium) as browser:
        print(f"Chromium {browser.version}")
        loads = [measure_load(browser, address) for _ in range(5)]
        seconds = [taken for _, taken in loads]
        print(f"cold load: {loads[0][0]:,} bytes, {statistics.median(seconds):.2f} s", end=" ")
        print(f"({min(seconds):.2f} to {max(seconds):.2f}, 5 loads)")
        times = sorted(measure_strokes(browser, address))
        print(f"stroke update: {statistics.median(times):.1f} ms", end=" ")
        print(f"(95 % below {times[int(0.95 * len(times))]:.1f} ms, {len(times)} updates)")
        found, total = compare_preparation(browser, address), len(recorded())
        for name, words in (("prepared", "prepared as MNIST was"), ("shrunk", "without preparation")):
            print(f"{total} drawings, {words}: {found[name]['right'] / total:.1%} right")
        if arguments.screenshots:
            take_screenshots(browser, address, arguments.screenshots)


if __name__ == "__main__":
    main()
