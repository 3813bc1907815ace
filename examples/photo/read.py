import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

from digits.page.parts import parts
from digits.page.photo import sheet
from digits.page.preparation import prepare

session = onnxruntime.InferenceSession(sys.argv[1])
threshold = float(session.get_modelmeta().custom_metadata_map["familiarity_threshold"])
drawing = sheet(np.asarray(ImageOps.exif_transpose(Image.open(sys.argv[2])).convert("L")))
if drawing is None:
    sys.exit("error: nothing stands out from the paper")
images = np.stack([prepare(part) for part in parts(drawing)])[:, None]
log_probabilities, familiarity = session.run(["log_probabilities", "familiarity"], {"image": images})
for row, familiar in zip(log_probabilities, familiarity >= threshold, strict=True):
    print(row.argmax() if familiar else "?", np.exp(row.max()))
