"""Control groups of version 2 (Linux): the CPU quota of this process, and the counters of its groups."""

import contextlib
from pathlib import Path

_CONTROL_GROUP = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def read_control_groups(name: str) -> list[str]:
    """The file of this name in this process's control group and in those above it, innermost first.

    Groups without such a file are left out.
    """
    try:
        own = next(line for line in _OWN_GROUP.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        own = "0::/"
    own = own.removeprefix("0::/")
    contents = []
    for group in (Path(own), *Path(own).parents) if own else (Path(),):
        with contextlib.suppress(OSError):
            contents.append((_CONTROL_GROUP / group / name).read_text())
    return contents


def cpu_quota() -> float | None:
    """The CPU time that the control groups grant, in CPUs; None where none of them has a limit."""
    quotas = []
    for content in read_control_groups("cpu.max"):
        granted, _, period = content.partition(" ")
        if granted.isdigit() and period.strip().isdigit():
            quotas.append(int(granted) / int(period))
    return min(quotas, default=None)
