"""Arrays in memory that this process cannot write: not through NumPy, and not through a pointer either."""

import contextlib
import fcntl
import math
import mmap
import os
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt


def read_only_array(
    shape: tuple[int, ...], dtype: npt.DTypeLike, fill: Callable[[np.ndarray], object]
) -> np.ndarray:
    """Make an array of this shape that ``fill`` writes; afterwards it cannot be written.

    On Linux its pages are mapped without permission to write, from a file in memory that is sealed: writing
    through a pointer ends the process by SIGSEGV, and the permission cannot be asked for later. Elsewhere, or
    where the system refuses, it is an ordinary array that NumPy alone protects; see :func:`is_mapped`.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if sys.platform == "linux" and size:
        with contextlib.suppress(OSError):
            return np.ndarray(shape, dtype, _mapped(size, lambda at: fill(np.ndarray(shape, dtype, at))))
    array = np.empty(shape, dtype)
    fill(array)
    array.flags.writeable = False
    return array


def is_mapped(array: np.ndarray) -> bool:
    """Check that the system protects an array of :func:`read_only_array`; an empty array counts as such."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap) or not array.size


def _mapped(size: int, fill: Callable[[mmap.mmap], object]) -> mmap.mmap:
    """Map memory of this size that ``fill`` writes; raises OSError where the system offers none."""
    writable = os.memfd_create("harness-data", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.posix_fallocate(writable, 0, size)  # a lack of memory is an error here, and a signal later
        memory = mmap.mmap(writable, size)
        fill(memory)
        memory.close()  # it cannot be sealed before
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, seals)
        # A file opened for reading: a mapping of the other one could be made writable by mprotect.
        readable = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
    try:
        # Populated: no page fault is left for the timed steps.
        return mmap.mmap(readable, size, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ)
    finally:
        os.close(readable)
