"""One thin module per DVC stage: reads its dependencies, calls `digits`, writes its outputs."""

import os

# The maths libraries choose their code by CPU. AVX2 is on nearly every x86-64 machine, so its rounding is
# what the committed hashes stand for. Read when torch is loaded: hence here, before any stage imports it.
os.environ.setdefault("MKL_CBWR", "AVX2")
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
