"""How much of the machine others used while a run trained: their programs, and the hypervisor."""

import contextlib
import os
import time

import msgspec


class Interference(msgspec.Struct, frozen=True, kw_only=True):
    """What others took of the machine while the run trained and was scored, on average.

    ``others`` is the work of other programs and ``stolen`` what the hypervisor gave to other machines
    (steal time), both in CPUs' worth of time, of ``cpus`` in all.
    """

    cpus: int
    others: float
    stolen: float


class Watch:
    """Counts from its making; ``pid`` is the worker, whose children are its own work too."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._start = time.monotonic()
        self._own = _seconds_of(pid)
        self._busy, self._stolen = _machine_seconds()

    def report(self) -> Interference | None:
        """What others took since then; None where the worker is gone, whose share nobody can tell."""
        import psutil  # here: commands that only read records do without it

        own, wall = _seconds_of(self._pid), time.monotonic() - self._start
        if own is None or self._own is None:
            return None
        busy, stolen = _machine_seconds()
        others = busy - self._busy - (own - self._own)
        return Interference(
            cpus=psutil.cpu_count() or 1,
            others=max(0.0, others / wall),
            stolen=max(0.0, (stolen - self._stolen) / wall),
        )


def _machine_seconds() -> tuple[float, float]:
    """CPU seconds that all CPUs together have worked, and that the hypervisor kept from them."""
    import psutil

    times = psutil.cpu_times()
    working = ("user", "nice", "system", "irq", "softirq")
    return sum(getattr(times, name, 0.0) for name in working), getattr(times, "steal", 0.0)


def _seconds_of(pid: int) -> float | None:
    """CPU seconds of the worker with its children, and of this process."""
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
