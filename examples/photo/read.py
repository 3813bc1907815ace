import sys
from pathlib import Path

import numpy as np
import onnxruntime

from digits.data.folders import FolderError, grey_values
from digits.page.parts import parts
from digits.page.photo import sheet
from digits.page.preparation import prepare

if len(sys.argv) != 3:
    sys.exit("usage: read.py MODEL PHOTO")
try:
    session = onnxruntime.InferenceSession(sys.argv[1])
    threshold = float(session.get_modelmeta().custom_metadata_map["familiarity_threshold"])
except Exception as error:
    sys.exit(f"error: {sys.argv[1]} is no model of digits: {error}")
try:
    drawing = sheet(grey_values(Path(sys.argv[2])))
except FolderError as error:
    sys.exit(f"error: {sys.argv[2]} {error}")
if drawing is None:
    sys.exit("error: nothing stands out from the paper")
images = np.stack([prepare(part) for part in parts(drawing)])[:, None]
log_probabilities, familiarity = session.run(["log_probabilities", "familiarity"], {"image": images})
for row, familiar in zip(log_probabilities, familiarity >= threshold, strict=True):
    print(row.argmax() if familiar else "?", np.exp(row.max()))
