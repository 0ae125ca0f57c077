"""How much of the machine others used during a run: other programs, and the hypervisor."""

import contextlib
import os
import time

import msgspec

#: The share of all CPUs below which the work of others does not show in times.
_UNNOTICED_SHARE = 0.05
#: What the kernel's counters, which count ticks of 10 ms for each process and CPU, may be wrong by.
_COUNTER_ERROR_SECONDS = 0.1


class Interference(msgspec.Struct, frozen=True, kw_only=True):
    """The average load by others while a run trained and was scored.

    ``others`` is the work of other programs, ``stolen`` the time that the hypervisor gave to other machines
    (steal time), both in CPUs, of ``cpus`` in all. ``seconds`` is how long that was measured; None in older
    records.
    """

    cpus: int
    others: float
    stolen: float
    seconds: float | None = None

    @property
    def taken(self) -> float:
        """CPUs that others used."""
        return self.others + self.stolen

    @property
    def disturbs(self) -> bool:
        """Whether others used so much that times are longer and vary more than on an idle machine."""
        seen = self.seconds is None or self.taken * self.seconds > _COUNTER_ERROR_SECONDS
        return seen and self.taken > _UNNOTICED_SHARE * self.cpus


class Watch:
    """Measures from its creation on. ``pid`` is the worker, whose children count as its own work."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._start = time.monotonic()
        self._own = _seconds_of(pid)
        self._busy, self._stolen = _machine_seconds()

    def report(self) -> Interference | None:
        """The load by others since the creation; None if the worker has ended: its share is unknown then."""
        import psutil  # imported late: commands that only read records do not need it

        own, wall = _seconds_of(self._pid), time.monotonic() - self._start
        if own is None or self._own is None:
            return None
        busy, stolen = _machine_seconds()
        others = busy - self._busy - (own - self._own)
        return Interference(
            cpus=psutil.cpu_count() or 1,
            others=max(0.0, others / wall),
            stolen=max(0.0, (stolen - self._stolen) / wall),
            seconds=wall,
        )


def _machine_seconds() -> tuple[float, float]:
    """CPU seconds that all CPUs have worked, and that the hypervisor gave to other machines."""
    import psutil

    times = psutil.cpu_times()
    working = ("user", "nice", "system", "irq", "softirq")
    return sum(getattr(times, name, 0.0) for name in working), getattr(times, "steal", 0.0)


def _seconds_of(pid: int) -> float | None:
    """CPU seconds of the worker with its children, plus those of this process."""
    import psutil

    try:
        worker = psutil.Process(pid)
        total = sum(worker.cpu_times()[:4]) + sum(os.times()[:2])
    except psutil.Error:
        return None
    for child in worker.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += sum(child.cpu_times()[:2])
    return total
