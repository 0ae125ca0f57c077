"""Control groups (Linux): the CPU quota of this process, and the counters of its groups.

Quotas are read from version 2 alone, the time that they held back from both.
"""

from pathlib import Path

from harness.core.machine.files import system_text

_CONTROL_GROUP = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def read_control_groups(name: str, controller: str = "") -> list[str]:
    """Read the file ``name`` in this process's control group and in all parent groups, innermost first.

    Groups without such a file are left out. With a ``controller``, such as ``cpu``, read groups of version 1.
    """
    own = Path(_own_group(controller))
    groups = (own, *own.parents) if own.name else (own,)
    contents = (system_text(_CONTROL_GROUP / controller / group / name) for group in groups)
    return [content for content in contents if content]


def _own_group(controller: str) -> str:
    """Return the path of this process's group, relative to the root of all groups."""
    for line in system_text(_OWN_GROUP).splitlines():
        _number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.strip("/")
    return ""


def throttled_seconds() -> float:
    """Return the time in seconds for which quotas have held back this process's control groups."""
    second = _counted("throttled_usec", read_control_groups("cpu.stat"))
    first = _counted("throttled_time", read_control_groups("cpu.stat", "cpu"))
    return second / 1e6 + first / 1e9


def _counted(key: str, contents: list[str]) -> int:
    lines = [line.split() for content in contents for line in content.splitlines()]
    return sum(int(value) for name, value in lines if name == key)


def cpu_quota() -> float | None:
    """Return the CPU time that the control groups grant, in CPUs; None if no group has a limit."""
    quotas = []
    for content in read_control_groups("cpu.max"):
        granted, _, period = content.partition(" ")
        if granted.isdigit() and period.strip().isdigit():
            quotas.append(int(granted) / int(period))
    return min(quotas, default=None)
