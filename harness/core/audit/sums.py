"""Two sums over timed calls that the process which reports their times cannot change.

The parent sums up the time by its own clock, less delays that other programs cause, and the CPU time that the
kernel counts for the process and all that it started. Single calls are not judged: a busy machine delays any
of them. Figures that other programs can have caused confirm nothing and accuse nobody.
"""

from collections.abc import Iterator

import msgspec

from harness.core.audit import budgets
from harness.core.audit.findings import Clock, DishonestClock, Fault
from harness.core.audit.words import clock_fault
from harness.core.machine.usage import Usage, UsageMeter


class Load:
    """What other programs used while calls were made, as shares of the CPUs of a worker."""

    def __init__(self, cpus: int) -> None:
        self._cpus = cpus
        self._seconds = self._anywhere = 0.0
        #: CPU seconds on the worker's CPUs. The kernel counts ticks, so it can be below 0.
        self.others = 0.0

    def add(self, usage: Usage, seconds: float) -> None:
        """Add the usage during a call that took ``seconds``."""
        self._seconds += seconds
        self.others += usage.others
        self._anywhere += usage.others_anywhere

    @property
    def share(self) -> float:
        """The share of the worker's CPUs that others used."""
        return max(0.0, self.others) / max(self._seconds * self._cpus, 1e-9)

    @property
    def is_calm(self) -> bool:
        """Whether no CPU of the machine was busy for others, who would share caches and memory."""
        return self._anywhere < budgets.OTHERS_SHARE * self._seconds * self._cpus


class ClockSums:
    """The sums over the timed calls of a process, and their judgement."""

    def __init__(self, meter: UsageMeter, cpus: int, *, on_accelerator: bool) -> None:
        """Sum up a process's calls, measured by ``meter``; CPU time does not count on an accelerator."""
        self._meter, self._cpus, self._on_accelerator = meter, cpus, on_accelerator
        self._calls = 0
        self._reported = self._observed = self._reading = self._cpu = self._delay = self._late = 0.0
        self._load = Load(cpus)

    def add(
        self, reported_seconds: float, observed_seconds: float, usage: Usage, reading_seconds: float = 0.0
    ) -> None:
        """Add a call: its time by the process and by this clock, and the usage meanwhile.

        The usage may include a reading of values after the call, which took ``reading_seconds``.
        """
        self._calls += 1
        self._reported += reported_seconds
        self._observed += observed_seconds
        self._reading += reading_seconds
        self._delay += usage.delay
        self._late += usage.late
        self._cpu += usage.own
        self._load.add(usage, observed_seconds)

    def refuse(self, fault: Fault) -> None:
        """Raise DishonestClock for a fault that only the worker can cause."""
        clock = msgspec.structs.replace(self._sums(), outcome="dishonest", fault=fault)
        raise DishonestClock(clock_fault(clock), clock)

    def judged(self) -> Clock:
        """Judge all calls so far by the sums."""
        clock = self._sums()
        faults = list(self._faults(clock))
        if not faults:
            return clock
        fault, is_proven = max(faults, key=lambda found: found[1])
        outcome = "dishonest" if is_proven else "not confirmed"
        clock = msgspec.structs.replace(clock, outcome=outcome, fault=fault)
        if is_proven:
            raise DishonestClock(clock_fault(clock), clock)
        return clock

    def _sums(self) -> Clock:
        return Clock(
            outcome="confirmed",
            calls=self._calls,
            reported_seconds=self._reported,
            observed_seconds=self._observed,
            # A plugin can delay its own process. It cannot delay this one, which waits for the reply until
            # it is there: what it then waits for is a CPU that others have, and not one of the worker's.
            delay_seconds=self._late + max(0.0, min(self._delay, self._load.others)),
            cpu_seconds=None if self._on_accelerator else self._cpu,
            cpus=self._cpus,
            others_share=self._load.share,
        )

    def _faults(self, clock: Clock) -> Iterator[tuple[Fault, bool]]:
        """Yield the faults of a clock, each with True if only the worker can be its cause."""
        share, seconds = budgets.MISSING_SHARE, budgets.MISSING_SECONDS
        limit = max(seconds, share * clock.observed_seconds)
        # A delay that others can have caused is part of most calls, and then reported: it explains what is
        # missing, but confirms nothing.
        if clock.observed_seconds - self._late - clock.reported_seconds > limit:
            is_quiet = clock.others_share < budgets.OTHERS_SHARE
            most = budgets.MOST_MISSING_SHARE * clock.observed_seconds
            unexplained = clock.missing_seconds - clock.calls * budgets.DELIVERY_SECONDS
            is_proven = unexplained > (limit if is_quiet else max(limit, most))
            yield "missing time", self._meter.knows_others and is_proven
        most = (clock.reported_seconds + self._reading) * clock.cpus
        limit = max(seconds, share * most)
        if clock.cpu_seconds is not None and (excess := clock.cpu_seconds - most) > limit:
            yield "CPU time", excess - self._contention_seconds(clock) > limit

    def _contention_seconds(self, clock: Clock) -> float:
        """Estimate the CPU seconds beyond the reported time that other programs can have caused.

        Such time is spent by threads of the worker that spin while this process waits for a CPU to read the
        reply.
        """
        return min(clock.delay_seconds, max(0.0, self._observed - self._reported)) * clock.cpus
