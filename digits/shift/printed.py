"""Characters printed in the fonts that come with matplotlib."""

from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
FACES = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif-Italic", "DejaVuSansMono"),
    *("STIXGeneral", "cmr10", "cmss10", "cmtt10"),
)
DIGITS = "0123456789"
LETTERS = "ACDEFGHJKLMNPQRTUVWXYacdefhijkmnprtuvwxy"
"""Those that are no digits in some hand: not I, l, O, o, S, s, Z, z, B, b, g, q."""


def printed(characters: str) -> list[NDArray[np.uint8]]:
    """Sheets [200, 200], 255 is ink, with one character each: the first one in all faces, then the next."""
    fonts = [ImageFont.truetype(FONTS / f"{face}.ttf", 96) for face in FACES]
    found = []
    for character in characters:
        for font in fonts:
            sheet = Image.new("L", (200, 200))
            ImageDraw.Draw(sheet).text((50, 30), character, 255, font=font)
            found.append(np.asarray(sheet))
    return found
