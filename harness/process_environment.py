"""The environment variables that a worker starts with, so that every worker starts alike.

On a CPU the allocator decides a benchmark: a large temporary that is mapped and unmapped at each
step costs time and makes one process randomly slower than the next. So glibc is told to keep its
memory. Thread counts are fixed, and GPUs that were not asked for are hidden from every framework.
"""

import os
import platform
from collections.abc import Mapping

GLIBC_KEEPS_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36)}


def allowed_cpus() -> list[int]:
    """The logical CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def worker_settings(threads: int, device: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables that are set or replaced, by name; they are recorded with the run.

    ``inherited`` is the user's environment: a ``CUDA_VISIBLE_DEVICES`` there is respected, so that
    ``cuda:1`` is the second GPU that the user sees.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    settings = dict.fromkeys(names, str(threads))
    settings["PYTHONHASHSEED"] = "0"
    if platform.libc_ver()[0] == "glibc":
        settings |= GLIBC_KEEPS_MEMORY
    if device == "cpu":
        settings |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    elif ":" in device:
        index = int(device.partition(":")[2])
        visible = inherited.get("CUDA_VISIBLE_DEVICES")
        known = visible.split(",") if visible is not None else [str(i) for i in range(index + 1)]
        settings["CUDA_VISIBLE_DEVICES"] = known[index] if index < len(known) else "-1"
    return settings
