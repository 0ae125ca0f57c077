"""The peak memory of this process."""

import resource
import sys
from pathlib import Path


def peak_memory_bytes() -> int:
    """The peak of this process's resident memory.

    On Linux it is ``VmHWM``, because ``ru_maxrss`` there includes the process that this one was forked from.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
