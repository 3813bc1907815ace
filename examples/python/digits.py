import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
images = np.fromfile(sys.argv[2], np.uint8, offset=16).reshape(-1, 1, 28, 28)  # 0 is paper, 255 is ink
(log_probabilities,) = session.run(["log_probabilities"], {"image": images})
for row in log_probabilities:
    print(row.argmax(), np.exp(row.max()))
