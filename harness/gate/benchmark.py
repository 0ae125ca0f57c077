"""One benchmark of a gate: the same work first, then a look at its pairs, then fresh pairs if need be."""

import random
import secrets
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.duel.pairs import Alternation
from harness.duel.preparation import prepare
from harness.duel.record import PairRecord
from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.workloads import Workload, pad_to_equal_size
from harness.errors import HarnessError
from harness.gate import judgement, reasons
from harness.gate.judgement import Level, MetricLooks
from harness.gate.metrics import PairedSeries, limits_of, series
from harness.gate.noninferiority import no_worse
from harness.gate.quality import same_maths
from harness.gate.reasons import Reason
from harness.gate.record import BenchmarkRecord, Metric, MetricResult, QualityResult, Verdict
from harness.gate.suite import Benchmark
from harness.stats.looks import MOST_PAIRS
from harness.worker.errors import NoWorkersHere, WorkerTimeout

#: A process that takes longer than this from start to end is taken to hang.
_PROCESS_LIMIT_SECONDS = 1800.0
#: Turns of a pair that is to tell of the first step alone, which has shown when blocks begin. Memory that
#: grows from step to step shows with them only.
_FEWEST_TURNS = 2

_WORST_FIRST: tuple[Verdict, ...] = ("FAIL", "INVALID", "INCONCLUSIVE", "PASS")

Say = Callable[[str], None]
_T = TypeVar("_T")


class _Ended(HarnessError):
    """Nothing more can be measured of this benchmark, for no fault of head's."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class BenchmarkComparison:
    """Base against head on one benchmark, told into ``record`` as it goes. ``sides`` are base and head.

    A side that fails ends it: head's fault is a FAIL, base's leaves nothing to compare with. ``worse_level``
    is the chance to fail a head that does other maths and learns as well as base.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        sides: list[Workload],
        record: BenchmarkRecord,
        say: Say,
        turns: int | None,
        worse_level: float,
    ) -> None:
        self.record = record
        self._benchmark = benchmark
        self._sides = sides
        self._say = say
        self._chance = random.Random(secrets.randbits(64))  # noqa: S311  who goes first must not follow a seed
        self._pair_seconds = 0.0
        self._steps: list[int] = []
        self._looks: dict[Metric, MetricLooks] = {}
        self._suspected_at = 0.0
        self._turns = turns
        self._worse_level = worse_level
        record.turns = turns or 0
        self._settings = pad_to_equal_size(
            [side.settings(quiet=True) for side in sides], [side.python for side in sides]
        )
        self._ring = self._ring_of(sides, self._settings)

    def _ring_of(self, sides: list[Workload], settings: list[dict[str, str]]) -> Alternation:
        data = self.record.dataset.name
        return Alternation(sides, settings, data, deadline_seconds=lambda: _PROCESS_LIMIT_SECONDS)

    @property
    def suspicious(self) -> list[MetricResult]:
        """The metrics that the look did not pass, where the benchmark is still to be decided."""
        return [one for one in self.record.metrics if one.verdict in {"INCONCLUSIVE", "INVALID"}]

    def look(self, deadline: float) -> None:
        """Compare the maths, then judge a few pairs; nothing begins after ``deadline``."""
        conclude(self.record, lambda: self._look(deadline))

    def _look(self, deadline: float) -> None:
        record, benchmark = self.record, self._benchmark
        _refuse_after(deadline)
        self._say("comparing the maths")
        record.quality = self._quality(deadline)
        if record.quality.verdict == "FAIL" or not limits_of(benchmark.limits):
            return
        _refuse_after(deadline)
        self._say("trying each side once")
        prepared = self._fairly(lambda ring, _: prepare(ring, None, self._turns))
        record.configurations, self._steps = prepared.records, prepared.steps
        record.turns = prepared.turns
        record.dataset = prepared.read(record.dataset)
        process_seconds = prepared.pair_seconds / len(self._sides)
        if process_seconds > _PROCESS_LIMIT_SECONDS:
            raise _Ended(
                reasons.ProcessTooLong(
                    seconds=process_seconds, limit_seconds=_PROCESS_LIMIT_SECONDS, turns=record.turns
                )
            )
        _refuse_after(deadline)
        self._say(f"a look: {judgement.LOOK_PAIRS} pairs of about {prepared.pair_seconds:.0f} s")
        for _ in range(judgement.LOOK_PAIRS):
            _refuse_after(deadline)
            self._add_pair(record.look, record.turns)
        record.metrics = [
            judgement.looked_at(one, benchmark.limits.max_speedup) for one in self._series(record.look)
        ]

    def _quality(self, deadline: float) -> QualityResult:
        benchmark, data = self._benchmark, self.record.dataset.name
        found = same_maths(self._sides, data, _PROCESS_LIMIT_SECONDS)
        # Scores on other data are other scores.
        comparable = not any(isinstance(reason, reasons.OtherData) for reason in found.reasons)
        if found.verdict == "PASS" or benchmark.limits.max_accuracy_loss is None or not comparable:
            return found
        self._say("the first steps differ: comparing trainings over seeds")
        seeds = range(benchmark.seed, benchmark.seed + benchmark.seeds)
        learnt = no_worse(
            self._sides,
            data,
            benchmark.limits,
            self._worse_level,
            seeds,
            _PROCESS_LIMIT_SECONDS,
            deadline,
            self._say,
        )
        return msgspec.structs.replace(learnt, frameworks=found.frameworks)

    def confirm(self, level: Callable[[], Level], deadline: float) -> bool:
        """Judge what is suspicious with one more fresh pair; whether more are wanted after it.

        Where no more will come, because the next would be too late or there are as many as there can be,
        this is the last word. ``level`` is asked anew each time; ``deadline`` is of :func:`time.monotonic`.
        """
        made, now = len(self.record.confirmation), time.monotonic()
        self._suspected_at = self._suspected_at or now
        last = made >= MOST_PAIRS or now + self._pair_seconds > deadline
        time_share = (now - self._suspected_at) / max(deadline - self._suspected_at, 1.0)
        progress = max(made / MOST_PAIRS, time_share)
        held = conclude(self.record, lambda: self._confirm(level, progress, last=last))
        return held and not last and bool(self.suspicious)

    def _confirm(self, level: Callable[[], Level], progress: float, *, last: bool) -> None:
        record = self.record
        undecided = {one.metric for one in self.suspicious}
        if not last:
            turns = min(_FEWEST_TURNS, record.turns) if undecided == {"first step"} else record.turns
            self._add_pair(record.confirmation, turns)
        if record.confirmation:
            self._take(self._judged(undecided, level, progress, last=last))
        if last:
            told = {one.metric: len(one.ratios.logs) for one in self._series(record.confirmation)}
            self._take(
                [
                    judgement.last_word(one, told.get(one.metric, 0), level(), self._pair_seconds)
                    for one in self.suspicious
                ]
            )

    def _take(self, found: list[MetricResult]) -> None:
        new = {one.metric: one for one in found}
        self.record.metrics = [new.get(one.metric, one) for one in self.record.metrics]

    def _judged(
        self, metrics: set[Metric], level: Callable[[], Level], progress: float, *, last: bool
    ) -> list[MetricResult]:
        limits, fresh = self._benchmark.limits, self.record.confirmation
        every, alone = map(self._series, ([*self.record.look, *fresh], fresh))
        found = []
        for ours, theirs in zip(every, alone, strict=True):
            if ours.metric in metrics:
                looks = self._looks.setdefault(ours.metric, MetricLooks())
                looks.come_to(ours, theirs, progress, last=last)
                found.append(judgement.confirmed(ours, theirs, looks, limits.max_speedup, level(), last=last))
        return found

    def _series(self, pairs: list[PairRecord]) -> list[PairedSeries]:
        return series(pairs, self._benchmark.limits, self._batch_sizes) if pairs else []

    def _add_pair(self, pairs: list[PairRecord], turns: int) -> None:
        pair = self._fairly(lambda ring, sides: ring.pair(self._steps[sides], turns, self._chance))
        pairs.append(pair)
        self._pair_seconds = pair.seconds

    def _fairly(self, work: Callable[[Alternation, slice], _T]) -> _T:
        """Do it with both sides, which ``work`` is given as a part of them.

        Base is in memory beside head, stopped, and two may be more than a device holds. So a head that fails
        is tried by itself, and is to blame where it fails then too.
        """
        try:
            return work(self._ring, slice(0, 2))
        except ConfigurationFailed as error:
            if error.label != self._sides[1].label or isinstance(error.__cause__, WorkerTimeout):
                raise
            failed = error
        self._say("trying head by itself")
        alone = slice(1, 2)
        work(self._ring_of(self._sides[alone], self._settings[alone]), alone)
        raise _Ended(reasons.FailedBesideBase(message=failed.reason)) from failed

    @property
    def _batch_sizes(self) -> list[int]:
        return [side.batch_size for side in self.record.configurations]


def _refuse_after(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise _Ended(reasons.BudgetSpent())


def conclude(record: BenchmarkRecord, work: Callable[[], None]) -> bool:
    """Do the work that fills the record, and draw its verdict from it; False where the work ended early."""
    start = time.monotonic()
    record.reasons, verdicts = [], []
    ended = _ended_by(work)
    if ended is not None:
        verdict, reason = ended
        verdicts.append(verdict)
        record.reasons.append(reason)
    record.seconds += time.monotonic() - start
    record.verdict = worst_of([*verdicts, *(result.verdict for result in record.results)])
    return ended is None


def _ended_by(work: Callable[[], None]) -> tuple[Verdict, Reason] | None:
    """Do the work; the verdict and reason of what ended it early, None where it did not."""
    try:
        work()
    except _Ended as error:
        return "INVALID", error.reason
    except NoWorkersHere as error:
        return "INVALID", reasons.NoWorkers(message=str(error))
    except ConfigurationFailed as error:
        return failed(error)
    except HarnessError as error:  # base and head cannot be compared: other data, another split
        return "FAIL", reasons.NotComparable(message=str(error))
    except Exception as error:  # noqa: BLE001  an error of the harness must not cost the other benchmarks
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
        return "INVALID", reasons.HarnessFault(message=message)
    return None


def failed(error: ConfigurationFailed) -> tuple[Verdict, Reason]:
    """The verdict where a configuration failed: FAIL for head; base leaves nothing to compare with."""
    reason = reasons.Failed(label=error.label, message=error.reason)
    return "INVALID" if error.label == "base" else "FAIL", reason


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """FAIL before INVALID before INCONCLUSIVE before PASS; INVALID of nothing."""
    return min(verdicts, key=_WORST_FIRST.index, default="INVALID")
