"""The clock of a run, tested on its own blocks while it trains, and on further ones after it is scored."""

import random
import statistics
import time

import msgspec

from harness.errors import Declined
from harness.testing.clock import ClockTest, ClockTrial, Effort, is_too_quick
from harness.testing.readings import AfterBlock, read_after
from harness.testing.rests import REST_SECONDS, Rests
from harness.training.batches import BatchOrder
from harness.worker import protocol
from harness.worker.errors import DishonestClock, RequestFailed
from harness.worker.session import Session
from harness.worker.timed_session import TimedReadings, TimedSession
from harness.worker.training_clock import TrainingClock

#: Which blocks are read after is drawn at random, so that no program can know. The first ones always are.
_CHANCE = random.SystemRandom()
_READ_BLOCKS = 0.5
_READ_ALWAYS = 2
#: Readings take at most this share of the training.
_READING_SHARE = 0.005
#: Rests follow blocks that are drawn at random, too, and take this time and this share of the training.
_RESTED_BLOCKS = 0.2
_REST_SECONDS, _REST_SHARE = 0.25, 0.002
_FEWEST_RESTS = 3
#: The test after a run: its blocks are a share of the training, and no shorter or longer than this.
_BLOCK_SHARE = 1 / 950
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.05, 0.11
#: About how many blocks it makes. If they took longer than this share, only readings count.
_BLOCKS = 18
_END_SHARE, _END_SECONDS = 0.02, 1.0


class RunClock:
    """Trains with the worker's clock held against the parent's, and reads the weights after some blocks."""

    def __init__(self, session: Session, order: BatchOrder, threads: int) -> None:
        self._session = session
        self._order = order
        self._training = TrainingClock(session, order)
        self._readings = TimedReadings(session, threads)
        self._rests = Rests(self._readings)
        self._sampled: list[AfterBlock] = []
        self._steps = self._blocks = 0
        self._step_seconds: list[float] = []
        self._training_seconds = self._reading_seconds = 0.0

    def train(self, steps: int, *, last: bool) -> protocol.Trained:
        """Make the next steps of the run; after the ``last`` ones the weights are always read.

        Raises:
            DishonestClock: the worker reported less time than its calls took.
        """
        self._readings.hindered()
        trained = self._training.train(steps)
        self._steps += steps
        self._blocks += 1
        self._step_seconds.append(trained.seconds / steps)
        self._training_seconds += trained.seconds
        if self._blocks == 1:
            self._readings.reading()  # the first may compile
        elif last or self._is_read():
            start = time.monotonic()
            self._sampled.append(read_after(self._readings, trained.seconds))
            self._reading_seconds += time.monotonic() - start
        if self._blocks > 1 and self._is_rested():
            self._rests.add()
        return trained

    def _is_rested(self) -> bool:
        affordable = _REST_SECONDS + _REST_SHARE * self._training_seconds
        return REST_SECONDS * len(self._rests) < affordable and _CHANCE.random() < _RESTED_BLOCKS

    def _is_read(self) -> bool:
        if len(self._sampled) < _READ_ALWAYS:
            return True
        affordable = self._reading_seconds <= _READING_SHARE * self._training_seconds
        return affordable and _CHANCE.random() < _READ_BLOCKS

    def test(self) -> ClockTest:
        """What the readings say, and the blocks of further steps if the run was long enough for them.

        The program is of no use afterwards: it has trained on.

        Raises:
            DishonestClock: the clock cannot be trusted.
        """
        while len(self._rests) < _FEWEST_RESTS:
            self._rests.add()
        share = self._rests.working_share
        if share is not None:
            raise DishonestClock(
                ClockTest(outcome="dishonest", fault="works while idle", working_share=share)
            )
        test = self._tested()
        if test.outcome == "honest" and self._training.is_doubtful:
            test = msgspec.structs.replace(test, outcome="not tested", fault="other clock")
        if test.outcome == "dishonest":
            raise DishonestClock(test)
        return test

    def _shuffle(self, seed: int) -> None:
        """Have the next steps made with the batches of this seed."""
        self._session.call(protocol.Shuffle(seed), protocol.Done)

    def _tested(self) -> ClockTest:
        step_seconds = self._training_seconds / max(1, self._steps)
        block = min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, _BLOCK_SHARE * self._training_seconds))
        expected = _BLOCKS * max(block, step_seconds)
        timed = TimedSession(self._session, self._readings.threads, self._order, self._training, self._steps)
        shortest = min((reading.block for reading in self._sampled), default=block)
        trial = ClockTrial(timed, shortest, Effort(block, repetitions=1, single_steps=0), self._sampled)
        so_far = trial.result_so_far()
        if so_far.outcome == "dishonest" or expected > max(_END_SECONDS, _END_SHARE * self._training_seconds):
            return so_far
        if is_too_quick(timed, step_seconds):
            return msgspec.structs.replace(so_far, outcome="not tested")
        self._shuffle(_CHANCE.getrandbits(31))
        try:
            test = trial.carry_out()
            if test.outcome != "dishonest":
                seconds = min(step_seconds, statistics.median(self._step_seconds))
                test = trial.compare_new_batches(test, seconds)
        except (RequestFailed, Declined):  # the run itself is over and in order
            test = ClockTest(outcome="not tested", readings=len(self._sampled))
        self._shuffle(self._order.seed)
        return test
