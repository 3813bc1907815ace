"""One thin module per DVC stage: reads its dependencies, calls `digits`, writes its outputs."""

import gc
import os

# The maths libraries choose their code by CPU, and with it the last bits of a result. These are read when
# torch is loaded: hence here, before any stage imports it. A CPU without AVX-512 rounds differently.
os.environ.setdefault("MKL_CBWR", "AVX512")
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")

# Loading torch makes a million objects that stay; looking through them for garbage takes a fifth of the time.
gc.set_threshold(100_000)
