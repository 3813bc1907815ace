"""Where something was measured: the processor, the cores, the versions."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def machine() -> str:
    """Return the processor, the cores this process may use, and the versions that matter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = [f"Python {platform.python_version()}"]
    names += [f"{package} {version(package)}" for package in ("torch", "prefect", "dvc")]
    wide = " with AVX-512" if has_avx512() else ""
    return f"{processor()}{wide}, {cores} cores, {platform.system()}; {', '.join(names)}"


def processor() -> str:
    """Return the processor's name, or its architecture where the system does not tell."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def has_avx512() -> bool:
    """Whether matrix products are as fast as on CPUs with AVX-512."""
    return "avx512f" in _cpuinfo("flags").split()


def _cpuinfo(name: str) -> str:
    for line in CPUINFO.read_text().splitlines() if CPUINFO.exists() else ():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""
