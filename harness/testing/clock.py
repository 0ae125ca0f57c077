"""The test of a clock: work is done when it stops, twice the steps take twice the time, and rest saves none.

Conformance kit, ``harness check``, runs, duels and gates share it. What others took from the program is
measured at the same time: a disturbed test is repeated, and what remains is ``not tested``.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from harness.testing.readings import AfterBlock, Fault, Judgement, Outcome, Timed, judge, read_after
from harness.testing.rests import REST_SECONDS, Rests

_ATTEMPTS = 3
_SINGLE_STEPS = 3
_MOST_STEPS = 1 << 13
#: Of many calls, each costs the harness itself more than the program.
_MOST_CALLS = 32
#: Blocks of so little time say nothing.
_TOO_SHORT_SECONDS = 0.005
#: In blocks of this length the fixed cost of a call (Keras's ``fit``: tens of milliseconds) weighs little.
#: Shorter ones become longer by this factor.
_LONG_SECONDS = 0.25
_LONGER = 4
#: The accepted time of 2n steps over that of n. A fixed cost for each call makes it a little less than 2.
_HONEST = (1.5, 2.7)
#: A program that works while nothing is asked of it needs less than this share of a block after a rest.
_RESTED_SHARE = 0.6
_REST_LENGTH = 1.2
#: Of blocks of one length, half may be slow by chance; none is faster than this share of their median.
_FAST_SHARE = 0.4
#: A training whose steps take less than this share of those with batches that nobody could know before.
_KNOWN_SHARE = 0.4
#: Blocks count if others took at most this share of them.
_QUIET_SHARE = 0.1


class Effort(NamedTuple):
    """The least duration of a block of the test, and how often each part is repeated."""

    block_seconds: float = 0.11
    repetitions: int = 3
    readings: int = 5
    single_steps: int = _SINGLE_STEPS


class ClockTest(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a clock can be trusted, and the figures that say so.

    ``fault`` is what gives it away, or what could not be ruled out if it is ``not tested``.
    ``unfinished_share`` is the part of a block that was still going on when the clock had stopped;
    ``ratio`` the time of 2n steps over that of n; ``rested_share`` the time of a block after a rest over
    that of one without; ``hindered_share`` the part of the test's time that others took.
    """

    outcome: Outcome
    fault: Fault | None = None
    readings: int = 0
    unfinished_share: float = 0.0
    ratio: float | None = None
    rested_share: float | None = None
    hindered_share: float = 0.0
    known_share: float | None = None
    """The time of a step of the training over that of one with batches drawn afterwards."""
    reported_seconds: float | None = None
    """With ``other clock``: the seconds that the program's clock showed in all."""
    observed_seconds: float | None = None
    """With ``other clock``: those that the harness saw in another process."""
    working_share: float | None = None
    """With ``works while idle``: the share of a CPU that it used in rests, if it was seen at work in them."""


class Pace(NamedTuple):
    """Time of 2n steps over that of n; seconds per step, median and fastest; overhead of a call."""

    ratio: float
    step_seconds: float
    quickest_step_seconds: float
    call_seconds: float


class _Blocks(NamedTuple):
    """Blocks of one length: their seconds, and those that others took from each."""

    steps: int
    seconds: list[float]
    hindered: list[float]

    def add(self, timed: Timed) -> None:
        timed.hindered()
        self.seconds.append(timed.block(self.steps))
        self.hindered.append(timed.hindered())

    @property
    def quickest(self) -> float:
        """A disturbance only makes a block longer, and is no fault of its clock."""
        return min(self.seconds)

    @property
    def quiet(self) -> bool:
        """Whether others took little from the fastest."""
        fastest = self.seconds.index(self.quickest)
        return self.hindered[fastest] <= _QUIET_SHARE * self.quickest

    @property
    def unhindered(self) -> list[float]:
        """Their seconds without those that others took."""
        return [
            max(0.0, seconds - hindered)
            for seconds, hindered in zip(self.seconds, self.hindered, strict=True)
        ]

    @property
    def irregular(self) -> bool:
        """Whether two are so fast that their work must have been done in other calls."""
        _fastest, fast, *others = sorted(self.seconds)
        return len(others) > 1 and fast < _FAST_SHARE * statistics.median(self.unhindered)


class ClockTrial:
    """Tests one clock. ``pace`` is there after :meth:`carry_out`, unless work was left after blocks."""

    def __init__(
        self,
        timed: Timed,
        shortest_block_seconds: float,
        effort: Effort = Effort(),  # noqa: B008  immutable
        readings: Sequence[AfterBlock] = (),
    ) -> None:
        """``shortest_block_seconds`` is of the blocks in use; ``readings`` were made before, after blocks."""
        self._timed = timed
        self._shortest = shortest_block_seconds
        self._effort = effort
        self._readings = list(readings)
        self._seconds = self._hindered = 0.0
        self._rested_share: float | None = None
        self._known_share: float | None = None
        self._rests = Rests(timed)
        self._compared: tuple[_Blocks, _Blocks]
        for reading in self._readings:
            self._count(reading.block, reading.block_hindered)
        self.pace: Pace

    def carry_out(self) -> ClockTest:
        """Make all parts of the test, until one finds a fault."""
        steps = steps_for(self._timed, self._effort.block_seconds)
        self._timed.reading()  # the first may compile
        read = judged = self._read(steps)
        if read.outcome != "dishonest":
            compared = self._compare_lengths(steps)
            judged = read if compared.outcome == "honest" else compared
        return self._result(judged, read.unfinished_share)

    def read(self, steps: int) -> ClockTest:
        """Only read the weights after blocks of these steps, where earlier readings do not suffice."""
        judged = self._read(steps)
        return self._result(judged, judged.unfinished_share)

    def result_so_far(self) -> ClockTest:
        """What the readings say that were made before."""
        judged = judge(self._readings, self._shortest)
        return self._result(judged, judged.unfinished_share)

    def _result(self, judged: Judgement, unfinished_share: float) -> ClockTest:
        return ClockTest(
            outcome=judged.outcome,
            fault=judged.fault,
            readings=len(self._readings),
            unfinished_share=unfinished_share,
            ratio=self.pace.ratio if hasattr(self, "pace") else None,
            rested_share=self._rested_share,
            known_share=self._known_share,
            hindered_share=min(1.0, self._hindered / max(self._seconds, 1e-9)),
            working_share=self._rests.working_share,
        )

    def _read(self, steps: int) -> Judgement:
        """Doubling the steps does not find a block that returns early: enqueueing takes longer for more."""
        for attempt in range(_ATTEMPTS):
            while len(self._readings) < (attempt + 1) * self._effort.readings:
                self._timed.hindered()
                self._readings.append(read_after(self._timed, self._timed.block(steps)))
                self._count(self._readings[-1].block, self._readings[-1].block_hindered)
            block = statistics.median(reading.block for reading in self._readings)
            judged = judge(self._readings, max(self._shortest, block / steps))
            if judged.outcome == "honest" or judged.fault == "weights change":
                break
        return judged

    def _count(self, seconds: float, hindered: float) -> None:
        self._seconds += seconds
        self._hindered += hindered

    def _compare_lengths(self, steps: int) -> Judgement:
        attempts = 0
        while True:
            once, twice = self._alternate(steps, self._timed.even_steps(2 * steps))
            if max(once.seconds) < _TOO_SHORT_SECONDS:
                return Judgement("not tested")
            fault = self._fault(once, twice)
            if fault is None:
                return Judgement("honest")
            attempts += 1
            # A fixed cost of each call looks like a time that ignores the steps, until blocks are long.
            too_little = fault == "time ignores the steps" and self.pace.ratio < _HONEST[0]
            hidden = too_little and once.quickest < _LONG_SECONDS
            if attempts >= _ATTEMPTS and not (hidden and steps < most_steps(self._timed)):
                quiet = once.quiet and twice.quiet
                return Judgement("dishonest" if quiet else "not tested", fault)
            # A disturbance weighs less in a longer block.
            steps = self._timed.even_steps(_LONGER * steps if hidden else 2 * steps)

    def _fault(self, once: _Blocks, twice: _Blocks) -> Fault | None:
        if once.irregular or twice.irregular:
            return "works ahead"
        if not _HONEST[0] <= self.pace.ratio <= _HONEST[1]:
            return "time ignores the steps"
        return self._rest(once)

    def compare_new_batches(self, test: ClockTest, step_seconds: float) -> ClockTest:
        """The result of :meth:`carry_out`, unless a step took a fraction of those of the test.

        ``step_seconds`` is the time of a step of the training. The batches of the test must have been drawn
        anew after it.
        """
        once, twice = self._compared
        for _ in range(_ATTEMPTS):
            if not self._knows_batches(once, twice, step_seconds):
                return msgspec.structs.replace(test, known_share=self._known_share)
            steps = self._timed.even_steps(2 * once.steps)
            once, twice = self._alternate(steps, self._timed.even_steps(2 * steps))
        return self._result(Judgement("dishonest", "known batches"), test.unfinished_share)

    def _knows_batches(self, once: _Blocks, twice: _Blocks, step_seconds: float) -> bool:
        """Whether a step took a fraction of one of these, without what others took; sets the share."""
        shorter, longer = min(once.unhindered), min(twice.unhindered)
        without_calls = (longer - shorter) / (twice.steps - once.steps)
        seconds = min(without_calls, longer / twice.steps)
        self._known_share = step_seconds / max(seconds, 1e-12)
        return self._known_share < _KNOWN_SHARE

    def _alternate(self, steps: int, more: int) -> tuple[_Blocks, _Blocks]:
        """Blocks of ``steps`` and of ``more``, twice as many, in alternation; sets the pace."""
        once, twice = _Blocks(steps, [], []), _Blocks(more, [], [])
        calls = []
        for _ in range(self._effort.repetitions):
            once.add(self._timed)
            twice.add(self._timed)
            twice.add(self._timed)
            # Neighbouring blocks, the fastest of each and the least over all repetitions: neither a change
            # of the machine's speed in between nor a hiccup must count as the overhead of a call.
            alone = min((self._timed.block(1) for _ in range(self._effort.single_steps)), default=0.0)
            calls.append(alone - min(twice.seconds[-2:]) / more)
            once.add(self._timed)
        self._compared = once, twice
        for blocks in (once, twice):
            self._count(sum(blocks.seconds), sum(blocks.hindered))
        step_of_once, step_of_twice = once.quickest / steps, twice.quickest / more
        median = statistics.median(twice.seconds) / more
        ratio = 2 * step_of_twice / max(step_of_once, 1e-12)
        self.pace = Pace(ratio, median, step_of_twice, max(0.0, min(calls)))
        return once, twice

    def _rest(self, direct: _Blocks) -> Fault | None:
        """Whether it works in rests: by its CPU time, by shorter blocks afterwards, or by its weights."""
        rested, changed = [], False
        for _ in range(self._effort.repetitions):
            before = self._timed.reading().checksum
            self._rests.add(max(REST_SECONDS, _REST_LENGTH * direct.quickest))
            changed = changed or self._timed.reading().checksum != before
            rested.append(self._timed.block(direct.steps))
        self._rested_share = max(rested) / max(direct.quickest, 1e-12)
        if changed:
            return "weights change"
        shorter = max(rested) < _RESTED_SHARE * min(direct.unhindered)
        return "works while idle" if shorter or self._rests.working_share is not None else None


def steps_for(timed: Timed, seconds: float) -> int:
    """The number of steps that take about this time, found by doubling."""
    steps = timed.even_steps(1)
    while (taken := timed.block(steps)) < seconds and steps < most_steps(timed):
        # A little more than seems enough: another doubling would make every block of the test twice as long.
        wanted = max(2 * steps, min(8 * steps, math.ceil(1.1 * steps * seconds / max(taken, 1e-9))))
        steps = timed.even_steps(wanted)
    return steps


def is_too_quick(timed: Timed, step_seconds: float) -> bool:
    """Whether even the longest blocks would say nothing."""
    return step_seconds * most_steps(timed) < _TOO_SHORT_SECONDS


def most_steps(timed: Timed) -> int:
    """From this number of steps on, a block is not made longer."""
    return min(_MOST_STEPS, _MOST_CALLS * timed.longest_call)
