"""The clock of a training: what its worker reports, against two sums that its plugin cannot change.

The worker ends a call when its losses are values, by a function that it bound before any plugin was imported.
A plugin can still rewrite the process that it runs in, work while nothing is asked of it, or know the samples
of a run beforehand. So this process sums up, over all calls of a training, the time by its own clock, and the
CPU time that the kernel counts for the worker; and a run ends with a few calls whose samples nobody could
know. Single calls are not judged: a busy machine delays any of them. Figures that other programs can have
caused confirm nothing and accuse nobody.
"""

import contextlib
import dataclasses
import math
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from harness.core.audit import budgets
from harness.core.audit.findings import Clock, Fault, Turns
from harness.core.audit.sums import ClockSums, Load
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


class TrainingClock(ClockSums):
    """Trains, reads weights and states, and keeps the sums of both."""

    def __init__(self, session: Session, cpus: Sequence[int], *, on_accelerator: bool = False) -> None:
        """Sum up a worker's calls on its ``cpus``; CPU time does not count on an accelerator."""
        meter = UsageMeter(session.process.pid, cpus)
        super().__init__(meter, len(cpus), on_accelerator=on_accelerator)
        self._session = session
        self._empty_seconds, self._empty_cpu_seconds = self._empty_request()
        self._step_cpu: list[float] = []
        #: Of the calls in a new order.
        self._new_load = Load(self._cpus)
        self._readings: dict[str, list[float]] = {}
        self._known_share: float | None = None
        self._known_cpu_share: float | None = None
        self._turns: Turns | None = None

    def _empty_request(self) -> tuple[float, float]:
        """Measure an empty request that waits for no CPU: its seconds, and the worker's CPU seconds."""
        times = []
        self._meter.begin()
        for _ in range(_PINGS):
            start = time.monotonic()
            self._session.call(protocol.Ping(), protocol.Done)
            times.append(time.monotonic() - start)
        return min(times), self._meter.end().own / _PINGS

    def train(self, steps: int) -> protocol.Trained:
        """Make the next steps; raises as :meth:`Session.receive` does."""
        return self._train(steps)

    def _train(self, steps: int, *loads: Load) -> protocol.Trained:
        self._session.call(protocol.Draw(steps), protocol.Done)
        self._meter.begin()
        start = time.monotonic()
        trained = self._session.call(protocol.Train(steps), protocol.Trained)
        seconds = time.monotonic() - start
        usage = self._meter.end()
        for load in loads:
            load.add(usage, seconds)
        self.add(trained.seconds, seconds, usage)
        self._step_cpu.append(usage.own / steps)
        if not trained.seconds > 0:  # no record can be read that has a block of no time
            self.refuse("missing time")
        return trained

    def cost(self, steps: int) -> float:
        """Make the next steps; return their CPU seconds, or on an accelerator their duration in seconds."""
        observed, cpu = self._observed, self._cpu
        self.train(steps)
        return self._observed - observed if self._on_accelerator else self._cpu - cpu

    def save_state(self, path: str) -> tuple[bool, float]:
        """Have the state written to a file; return True if it is complete, and the duration in seconds."""
        start = time.monotonic()
        saved = self._read("state", protocol.SaveState(path), protocol.StateSaved)
        return saved.complete, time.monotonic() - start

    def settle(self) -> None:
        """Have the weights read, so that outstanding updates are made and their CPU time counts."""
        self._read("weights", protocol.ReadWeights(), protocol.Done)

    def _read(self, kind: str, request: protocol.Request, reply: type[_Reply]) -> _Reply:
        self._meter.begin()
        received = self._session.call(request, reply)
        self._readings.setdefault(kind, []).append(self._meter.end().own)
        return received

    def compare_new_order(self, order: BatchOrder, step: int, step_seconds: float) -> None:
        """Make a few calls whose samples are drawn now, after the ``step`` steps of a run.

        ``step_seconds`` is the time of a step of the run. A program that trained while it was built, or
        replays an earlier training, has no results for these samples. The comparison is left out where steps
        are too long for it.
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
        """Compare the cost of a step with calls of ``wanted`` steps, repeatedly if these calls are slow."""
        step_cpu = min(statistics.fmean(self._step_cpu), statistics.median(self._step_cpu))
        calls: list[tuple[float, float]] = []
        for _ in range(1 + budgets.NEW_ORDER_REPETITIONS):
            enough = len(calls) + budgets.NEW_ORDER_CALLS
            while len(calls) < enough:
                count = min(wanted, new.run_length(step))
                is_full = not new.full_steps or step % new.steps_per_epoch < new.full_steps
                seconds = self._train(count, self._new_load).seconds / count
                step += count
                calls += [(seconds, self._step_cpu[-1])] * is_full
            wall, cpu = map(min, zip(*calls, strict=True))
            self._known_share = step_seconds / max(wall, 1e-12)
            if cpu > 0 and not self._on_accelerator:
                self._known_cpu_share = step_cpu / cpu
            if self._known_share >= budgets.KNOWN_SHARE:
                break

    @property
    def suspects_known_order(self) -> bool:
        """Whether a step in a new order took far longer, and not for want of a CPU on a busy machine."""
        if self._known_share is None or self._known_share >= budgets.KNOWN_SHARE:
            return False
        had_to_wait = (self._known_cpu_share or 0.0) >= budgets.KNOWN_SHARE
        return self._is_calm or not had_to_wait

    @property
    def _is_calm(self) -> bool:
        return self._meter.knows_others and self._load.is_calm and self._new_load.is_calm

    def add_turns(self, turns: Turns) -> None:
        """Add the repetition of the run in both orders (:mod:`harness.core.audit.known_order`)."""
        self._turns = turns

    def _sums(self) -> Clock:
        messages = self._calls * _EMPTY_REQUESTS
        observed = max(0.0, self._observed - messages * self._empty_seconds)
        # What every reading takes is the price of reading; the first of a kind may compile.
        readings = sum(sum(own[1:]) - len(own[1:]) * min(own) for own in self._readings.values())
        cpu = max(0.0, self._cpu - messages * self._empty_cpu_seconds) + readings
        return msgspec.structs.replace(
            super()._sums(),
            observed_seconds=observed,
            cpu_seconds=None if self._on_accelerator else cpu,
            known_share=self._known_share,
            known_cpu_share=self._known_cpu_share,
            turns=self._turns,
        )

    def _faults(self, clock: Clock) -> Iterator[tuple[Fault, bool]]:
        yield from super()._faults(clock)
        if self.suspects_known_order:
            yield "known order", self._knew_its_order

    def _contention_seconds(self, clock: Clock) -> float:
        """Estimate by how much programs that share caches and memory slow the readings down, in seconds."""
        readings = 0.0
        for own in self._readings.values():
            price = min(own)
            readings += sum(min(each, budgets.CONTENTION * price) - price for each in own[1:])
        return super()._contention_seconds(clock) + readings

    @property
    def _knew_its_order(self) -> bool:
        """Whether turns show that the order was known, or a run on a machine that nothing else used.

        In a turn of a program that knows no order, either call is the cheaper one with the same probability:
        19 of 20 are won by the run's order with a probability of 2e-5, whatever other programs do.
        """
        turns = self._turns
        if turns is not None and turns.made == budgets.TURNS and turns.dearer <= budgets.DEARER_TURNS:
            return True
        share = self._known_cpu_share
        return self._is_calm and share is not None and share < budgets.KNOWN_SHARE
