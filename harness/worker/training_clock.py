"""The parent's own clock of every training call, against which it holds the seconds that a worker reports."""

import time

import msgspec
import numpy as np

from harness.machine.hindrance import Hindrance
from harness.machine.main_threads import MainThreads
from harness.testing.clock import ClockTest
from harness.testing.observation import finite_losses
from harness.training.batches import BatchOrder
from harness.worker import protocol
from harness.worker.errors import DishonestClock
from harness.worker.missing_time import MissingTime
from harness.worker.session import Session

#: What a call may take longer by the parent's clock: messages, and a share of it.
_CALL_SECONDS = 0.005
_CALL_SHARE = 0.05
#: A worker reports too little if this share of all time is missing, and this time, over so many calls.
_MISSING_SHARE = 0.1
_MISSING_SECONDS = 0.05
_FEWEST_CALLS = 3
#: If less is missing of a call, nothing is looked up.
_LITTLE_SECONDS = 0.001
_LITTLE_SHARE = 0.03
#: How many times as long as here a worker may take to draw batches and to hand over losses.
_OVERHEAD = 2.0


class TrainingClock:
    """Trains, and compares the worker's clock with the parent's: a plugin can change the worker's alone."""

    def __init__(self, session: Session, order: BatchOrder, step: int = 0) -> None:
        """``step`` is the number of steps that the program has made."""
        self._session = session
        self._order = order
        self._step = step
        self._hindrance = Hindrance([session.process.pid])
        self._threads = MainThreads(session.process.pid)
        self._reported = self._observed = self._missing = self._doubtful = 0.0
        self._short_calls = 0
        self._missing_time = MissingTime()

    def train(self, steps: int) -> protocol.Trained:
        """Make the next steps; raises as :meth:`Session.receive` does.

        Raises:
            DishonestClock: the worker reported less time than its calls took, beyond any overhead.
        """
        self._hindrance.seconds()
        self._threads.since()
        start = time.monotonic()
        trained = self._session.call(protocol.Train(steps), protocol.Trained)
        observed = time.monotonic() - start
        first, self._step = self._step, self._step + steps
        self._observed += observed
        self._reported += trained.seconds
        if observed - trained.seconds > _LITTLE_SECONDS + _LITTLE_SHARE * observed:
            self._weigh(observed, trained.seconds, self._overhead_seconds(first, steps))
        else:
            self._missing_time.add(observed, trained.seconds)
        if self._is_dishonest or not trained.seconds > 0:  # a clock that stands still reports none
            raise DishonestClock(
                ClockTest(
                    outcome="dishonest",
                    fault="other clock",
                    reported_seconds=self._reported,
                    observed_seconds=self._observed,
                )
            )
        return trained

    def _weigh(self, observed: float, reported: float, overhead: float) -> None:
        """Count a call that took longer here than the worker reported."""
        waits, hindered = self._threads.since(), self._hindrance.seconds()
        missing = observed - reported - _OVERHEAD * overhead
        self._doubtful += max(0.0, missing)
        if waits is None:
            self._missing_time.add(observed, reported, missing, wait=None)
        else:
            wait = hindered / (waits.preemptions + 1)
            self._missing_time.add(observed, reported, missing - waits.own_seconds, wait)
        if missing - hindered > _CALL_SECONDS + _CALL_SHARE * observed:
            self._missing += missing - hindered
            self._short_calls += 1

    @property
    def is_doubtful(self) -> bool:
        """Whether so much is missing that only others could have taken it: nothing is proven then."""
        return self._doubtful > max(_MISSING_SECONDS, _MISSING_SHARE * self._observed)

    def _overhead_seconds(self, first: int, steps: int) -> float:
        """What the worker does beside training: it draws batches and hands over losses."""
        start = time.thread_time()  # others cannot delay it
        drawn = self._order.steps(first, steps)
        losses = finite_losses(np.zeros((steps, 2)))
        msgspec.json.encode(losses)
        del drawn
        return time.thread_time() - start

    @property
    def _is_dishonest(self) -> bool:
        enough = max(_MISSING_SECONDS, _MISSING_SHARE * self._observed)
        often = self._short_calls >= _FEWEST_CALLS and self._missing > enough
        return often or self._missing_time.is_proven
