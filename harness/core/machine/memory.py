"""The peak memory of this process."""

import resource
import sys
from pathlib import Path

from harness.core.machine.files import system_text


def peak_memory_bytes() -> int:
    """Return the peak of this process's resident memory in bytes.

    On Linux it is ``VmHWM``, because ``ru_maxrss`` includes the process from which this process was forked.
    """
    for line in system_text(Path("/proc/self/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
