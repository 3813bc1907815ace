"""The page says of each drawing what is proven of it."""

import json
import re

import numpy as np
import torch
from playwright.sync_api import Page, expect

from benchmarks import page as bench
from benchmarks.photos import BY_HAND
from digits.data.datasets import read_raw
from digits.networks import model_file
from digits.onnx.robustness import certified
from tests.patience import PATIENCE
from tests.project import Project
from tests.web.conftest import OpenPage

OPEN = """async ([image, title]) => {
  const { open } = await import("/main.js");
  open(Uint8Array.from(image), title);
}"""


def says(page: Page, text: str) -> None:
    expect(page.locator("#certainty")).to_contain_text(text, timeout=1000 * PATIENCE)


def test_a_clear_drawing_is_proven(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator("#certainty")).to_be_hidden()
    bench.draw(page, BY_HAND[3]["strokes"], steps=1)
    says(page, "Proven: every float32 runtime reads a 3 here; its log-probability leads that of ")
    says(page, "The answer stays the same if each pixel changes by up to ")
    page.click("#clear")
    expect(page.locator("#certainty")).to_be_hidden()


def test_of_what_does_not_look_like_a_digit_it_says_what_holds_if_it_is_one(open_page: OpenPage) -> None:
    page = open_page()
    places = (60, 140, 220)
    bench.draw(page, [[60, at, 220, at] for at in places] + [[at, 60, at, 220] for at in places])
    expect(page.locator("#words")).to_have_text("This does not look like a digit.")
    expect(page.locator("#certainty b")).to_have_text(re.compile("^(Not p|P)roven, if it is a digit:$"))


def test_what_it_says_of_test_images_is_what_python_proves(open_page: OpenPage, run: Project) -> None:
    images = read_raw(run.folder / "data/raw", "t10k").images
    doubtful = json.loads(run.text("reports/parity.json"))["bound"]["not_certain"][0]
    page = open_page()
    page.evaluate(OPEN, [images[doubtful["image"]].ravel().tolist(), "in doubt"])
    expect(page.locator("#certainty b")).to_have_text(re.compile("^Not proven(, if it is a digit)?:$"))
    says(page, f": another runtime may read another digit than {doubtful['digit']}; its")
    says(page, f"leads that of {doubtful['rival']} by ")
    classifier = model_file.load(run.folder / "models/model.safetensors").classifier
    for place in (0, 2, 18):
        image = torch.from_numpy(images[place][None, None].astype(np.uint8))
        page.evaluate(OPEN, [images[place].ravel().tolist(), "a test image"])
        safe = next(r for r in range(16, -1, -1) if not r or certified(classifier, image, r).item())
        says(page, f"changes by up to {safe} of" if safe else "Of changed pixels nothing is proven.")
