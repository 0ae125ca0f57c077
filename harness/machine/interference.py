"""How much of the machine others used during a run: other programs, and the hypervisor."""

import msgspec

from harness.machine.cpus import allowed_cpus
from harness.machine.disturbance import between, cpu_seconds, read_counters

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
        self._begun = read_counters([pid])

    def report(self) -> Interference | None:
        """The load by others since the creation.

        None if the worker has ended, because its share is unknown then, or where the system has no counters.
        """
        now = read_counters([self._pid])
        if not now.busy or not cpu_seconds(self._pid):
            return None
        wall, taken = now.at - self._begun.at, between(self._begun, now)
        return Interference(
            cpus=len(allowed_cpus()),
            others=taken.others_seconds / wall,
            stolen=max(0.0, taken.stolen_seconds / wall),
            seconds=wall,
        )
