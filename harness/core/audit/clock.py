"""The clock of a training: what its worker reports, against two sums that its plugin cannot change.

The worker ends a call when its losses are values, by a function that it bound before any plugin was imported.
A plugin can still rewrite the process that it runs in, work while nothing is asked of it, or know the samples
of a run beforehand. So this process sums up, over all calls of a training, the time by its own clock, and the
CPU time that the kernel counts for the worker; and a run ends with a few calls whose samples nobody could
know. Single calls are not judged: a busy machine delays any of them.
"""

import contextlib
import dataclasses
import math
import random
import statistics
import time
from collections.abc import Sequence
from typing import Literal, TypeVar

import msgspec

from harness.core.audit import budgets
from harness.core.audit.findings import Clock, DishonestClock
from harness.core.audit.words import clock_fault
from harness.core.machine.usage import UsageMeter
from harness.core.training.batches import BatchOrder
from harness.core.worker import protocol
from harness.core.worker.session import Session
from harness.errors import Declined, RequestFailed

_RNG = random.SystemRandom()
_Reply = TypeVar("_Reply", bound=msgspec.Struct)
#: A call's messages are longer than empty ones, and take as long as so many of them.
_EMPTY_REQUESTS = 2.0
_PINGS = 9


class TrainingClock:
    """Trains, reads weights and states, and keeps the sums of both."""

    def __init__(self, session: Session, cpus: Sequence[int], *, on_accelerator: bool = False) -> None:
        """``cpus`` are those that the worker may use. On an accelerator CPU time says nothing."""
        self._session = session
        self._cpus = cpus
        self._on_accelerator = on_accelerator
        self._meter = UsageMeter(session.process.pid, cpus)
        self._empty_seconds, self._empty_cpu_seconds = self._empty_request()
        self._calls = 0
        self._reported = self._observed = self._others = self._cpu = 0.0
        self._delay = self._late = 0.0
        self._readings: dict[str, list[float]] = {}
        self._known_share: float | None = None
        self._busy_share = 0.0

    def _empty_request(self) -> tuple[float, float]:
        """Seconds, and CPU seconds of the worker, of a request that does nothing."""
        times = []
        self._meter.begin()
        for _ in range(_PINGS):
            start = time.monotonic()
            self._session.call(protocol.Ping(), protocol.Done)
            times.append(time.monotonic() - start)
        return statistics.median(times), self._meter.end().own / _PINGS

    def train(self, steps: int) -> protocol.Trained:
        """Make the next steps; raises as :meth:`Session.receive` does.

        Raises:
            DishonestClock: they took no time by the worker's clock.
        """
        self._session.call(protocol.Draw(steps), protocol.Done)
        self._meter.begin()
        start = time.monotonic()
        trained = self._session.call(protocol.Train(steps), protocol.Trained)
        self._observed += time.monotonic() - start
        usage = self._meter.end()
        self._calls += 1
        self._reported += trained.seconds
        self._delay += usage.delay
        self._late += usage.late
        self._others += usage.others
        self._cpu += usage.own
        if not trained.seconds > 0:  # no record can be read that has a block of no time
            clock = msgspec.structs.replace(self._sums(), outcome="dishonest", fault="missing time")
            raise DishonestClock(clock_fault(clock), clock)
        return trained

    def save_state(self, path: str) -> tuple[bool, float]:
        """Have the state written to a file; whether it is complete, and the seconds that this took."""
        start = time.monotonic()
        saved = self._read("state", protocol.SaveState(path), protocol.StateSaved)
        return saved.complete, time.monotonic() - start

    def settle(self) -> None:
        """Have the weights read, so that updates that are outstanding are made and their CPU time counts."""
        self._read("weights", protocol.ReadWeights(), protocol.Done)

    def _read(self, kind: str, request: protocol.Request, reply: type[_Reply]) -> _Reply:
        self._meter.begin()
        received = self._session.call(request, reply)
        self._readings.setdefault(kind, []).append(self._meter.end().own)
        return received

    def compare_new_order(self, order: BatchOrder, step: int, step_seconds: float) -> None:
        """Make a few calls whose samples are drawn now, after the ``step`` steps of a run.

        ``step_seconds`` is the time of a step of the run. A program that trained while it was built, or
        replays an earlier training, has no results for them. Left out where steps are too long for it.
        """
        wanted = max(1, math.ceil(budgets.NEW_ORDER_SECONDS / max(step_seconds, 1e-9)))
        expected = wanted * step_seconds * budgets.NEW_ORDER_CALLS
        if expected > max(budgets.NEW_ORDER_LEAST_SECONDS, budgets.NEW_ORDER_SHARE * self._reported):
            return
        new = dataclasses.replace(order, seed=_RNG.getrandbits(31))
        self._session.call(protocol.Shuffle(new.seed), protocol.Done)
        # A program that fails now has made all the steps that count.
        with contextlib.suppress(Declined, RequestFailed):
            self._make_new_steps(new, step, step_seconds, wanted)
        self._session.call(protocol.Shuffle(order.seed), protocol.Done)

    def _make_new_steps(self, new: BatchOrder, step: int, step_seconds: float, wanted: int) -> None:
        """Compare ``step_seconds`` with calls of ``wanted`` steps, more than once if they are slow."""
        calls: list[float] = []
        observed, others = self._observed, self._others
        for _ in range(1 + budgets.NEW_ORDER_REPETITIONS):
            while len(calls) < budgets.NEW_ORDER_CALLS:
                count = min(wanted, new.run_length(step))
                is_full = not new.full_steps or step % new.steps_per_epoch < new.full_steps
                seconds = self.train(count).seconds / count
                step += count
                calls += [seconds] * is_full
            share = step_seconds / max(min(calls), 1e-12)
            self._known_share = max(share, self._known_share or 0.0)
            if self._known_share >= budgets.KNOWN_SHARE:
                break
            calls.clear()
        taken = (self._others - others) / (len(self._cpus) * (self._observed - observed))
        self._busy_share = min(1.0, max(0.0, taken))

    def judged(self) -> Clock:
        """Judge all calls so far by the sums.

        Raises:
            DishonestClock: the worker reported too little time, or its calls did not do the work.
        """
        clock = self._sums()
        fault, is_proven = self._fault(clock)
        if fault is None:
            return clock
        outcome = "dishonest" if is_proven else "not confirmed"
        clock = msgspec.structs.replace(clock, outcome=outcome, fault=fault)
        if is_proven:
            raise DishonestClock(clock_fault(clock), clock)
        return clock

    def _sums(self) -> Clock:
        messages = self._calls * _EMPTY_REQUESTS
        observed = max(0.0, self._observed - messages * self._empty_seconds)
        # What every reading takes is the price of reading; the first of a kind may compile.
        readings = sum(sum(own[1:]) - len(own[1:]) * min(own) for own in self._readings.values())
        cpu = max(0.0, self._cpu - messages * self._empty_cpu_seconds) + readings
        return Clock(
            outcome="confirmed",
            calls=self._calls,
            reported_seconds=self._reported,
            observed_seconds=observed,
            # A plugin can delay its own process. It cannot delay this one, which waits for the reply until
            # it is there: what it then waits for is a CPU that others have, and not one of the worker's.
            delay_seconds=self._late + max(0.0, min(self._delay, self._others)),
            cpu_seconds=None if self._on_accelerator else cpu,
            cpus=len(self._cpus),
            others_share=max(0.0, self._others) / max(self._observed * len(self._cpus), 1e-9),
            known_share=self._known_share,
        )

    def _fault(self, clock: Clock) -> tuple[Literal["missing time", "CPU time", "known order"] | None, bool]:
        """Name the fault, and say whether only the worker can be its cause."""
        is_quiet = self._meter.knows_others and clock.others_share < budgets.OTHERS_SHARE
        share, seconds = budgets.MISSING_SHARE, budgets.MISSING_SECONDS
        if clock.missing_seconds > max(seconds, share * clock.observed_seconds):
            return "missing time", is_quiet
        most = clock.reported_seconds * clock.cpus
        if clock.cpu_seconds is not None and clock.cpu_seconds - most > max(seconds, share * most):
            return "CPU time", True
        if clock.known_share is not None and clock.known_share < budgets.KNOWN_SHARE:
            # Others who take half of the CPUs make steps twice as long.
            busy = self._busy_share if self._meter.knows_others else 1.0
            return "known order", clock.known_share < budgets.KNOWN_SHARE * (1 - busy)
        return None, True
