"""The code paths of the maths libraries: with them come the last bits of every result.

The libraries choose by CPU, and read these variables when they first compute. They are set whenever
`digits` is imported, by a stage, a test or a notebook; what is in the environment already counts. A CPU
without AVX-512 rounds differently all the same.
"""

import os

os.environ.setdefault("MKL_CBWR", "AVX512")
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
