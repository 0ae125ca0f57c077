"""One benchmark of a gate: its first steps are compared, then a few pairs are judged, then more of them."""

import math
import time
from collections.abc import Callable

import msgspec

from harness.duel.record import PairRecord
from harness.duel.workloads import Workload
from harness.gate import judgement, reasons
from harness.gate.conclusion import Ended, conclude
from harness.gate.first_steps import compare_first_steps
from harness.gate.metrics import PairedSeries, limits_of, series
from harness.gate.outlook import Outlook, outlook
from harness.gate.pairs import PROCESS_LIMIT_SECONDS, PairMaker
from harness.gate.record import BenchmarkRecord, MetricResult, QualityResult
from harness.gate.suite import Benchmark
from harness.gate.trainings import compare_trainings
from harness.stats.evidence import MOST_PAIRS

#: Turns of a pair that is made for the first step alone, which is over when blocks begin. Memory that grows
#: from step to step needs them all.
_FEWEST_TURNS = 2

Say = Callable[[str], None]


class BenchmarkComparison:
    """Compares base and head (``workloads``) on one benchmark, and fills its ``record``.

    A failure ends it: FAIL if head failed, INVALID if base did. ``worse_level`` is the chance to fail a head
    whose first steps differ and that learns as well as base. ``most_seconds`` limits the confirmation, which
    then also ends once more pairs are hopeless, and the trainings.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        workloads: list[Workload],
        record: BenchmarkRecord,
        say: Say,
        turns: int | None,
        worse_level: float,
        most_seconds: float = math.inf,
    ) -> None:
        self.record = record
        self._benchmark = benchmark
        self._workloads = workloads
        self._say = say
        self._confirming_seconds = 0.0
        self._most_seconds = most_seconds
        self._turns = turns
        self._worse_level = worse_level
        record.turns = turns or 0
        self._pairs = PairMaker(workloads, record.dataset.name, say)

    def look(self, deadline: float) -> None:
        """Compare the first steps, then judge a few pairs; nothing is started after ``deadline``."""
        conclude(self.record, lambda: self._look(deadline))

    def _look(self, deadline: float) -> None:
        record, limits = self.record, self._benchmark.limits
        _check_time(deadline)
        self._say("comparing the first steps")
        record.quality = self._quality(deadline)
        if record.quality.verdict == "FAIL" or not limits_of(limits):
            return
        _check_time(deadline)
        self._say("trying base and head once")
        same_work = record.quality.verdict == "PASS" and not record.quality.seeds
        prepared = self._pairs.prepare(self._turns, same_work=same_work)
        record.configurations, record.turns = prepared.records, prepared.turns
        record.dataset = prepared.read(record.dataset)
        _check_time(deadline)
        self._say(f"quick check: {judgement.LOOK_PAIRS} pairs of about {self._pairs.seconds:.0f} s")
        for _ in range(judgement.LOOK_PAIRS):
            _check_time(deadline)
            record.look.append(self._pairs.make(record.turns))
        record.metrics = [judgement.looked_at(look, limits.max_speedup) for look in self._series(record.look)]

    def _quality(self, deadline: float) -> QualityResult:
        benchmark, data = self._benchmark, self.record.dataset.name
        first_steps = compare_first_steps(self._workloads, data, PROCESS_LIMIT_SECONDS)
        # Scores on other data are other scores.
        is_comparable = not any(isinstance(reason, reasons.OtherData) for reason in first_steps.reasons)
        if first_steps.verdict == "PASS" or benchmark.limits.max_accuracy_loss is None or not is_comparable:
            return first_steps
        not_finite = any(isinstance(reason, reasons.LossesNotFinite) for reason in first_steps.reasons)
        observed = "losses of the first steps are not finite" if not_finite else "the first steps differ"
        self._say(f"{observed}: comparing trainings over seeds")
        trainings = compare_trainings(
            self._workloads,
            data,
            benchmark.limits,
            self._worse_level,
            range(benchmark.seed, benchmark.seed + benchmark.seeds),
            PROCESS_LIMIT_SECONDS,
            min(deadline, time.monotonic() + self._most_seconds),
            self._say,
        )
        return msgspec.structs.replace(trainings, frameworks=first_steps.frameworks)

    def confirm(self, level: Callable[[], float], deadline: float) -> Outlook | None:
        """Make one more pair and judge the undecided metrics; what is to come, or None if no more pairs are.

        If no more pairs will come, because the next would end too late, there are as many as there can be, or
        more are hopeless, the verdict is final. ``deadline`` is of :func:`time.monotonic`; ``level``, of the
        proof that head is worse, is computed again each time.
        """
        start = time.monotonic()
        before = self.outlook(level(), deadline)
        last = before.is_hopeless or before.pairs_left < 1
        went_on = conclude(self.record, lambda: self._confirm(level, last=last))
        self._confirming_seconds += time.monotonic() - start
        return self.outlook(level(), deadline) if went_on and not last and self.record.undecided else None

    def outlook(self, level: float, deadline: float) -> Outlook:
        """How many more pairs there is time for, and about how many decide all undecided metrics."""
        left = min(deadline - time.monotonic(), self._most_seconds - self._confirming_seconds)
        undecided = {result.metric for result in self.record.undecided}
        every = [each for each in self._series(self._all_pairs) if each.metric in undecided]
        most = MOST_PAIRS - len(self.record.confirmation)
        return outlook(every, level, self._pairs.seconds, left, most, may_end=self._most_seconds < math.inf)

    @property
    def _all_pairs(self) -> list[PairRecord]:
        return [*self.record.look, *self.record.confirmation]

    def _confirm(self, level: Callable[[], float], *, last: bool) -> None:
        record = self.record
        undecided = {result.metric for result in record.undecided}
        if not last:
            turns = min(_FEWEST_TURNS, record.turns) if undecided == {"first step"} else record.turns
            record.confirmation.append(self._pairs.make(turns))
        self._update(
            [
                judgement.confirmed(paired, self._benchmark.limits.max_speedup, level(), last=last)
                for paired in self._series(self._all_pairs)
                if paired.metric in undecided
            ]
        )
        if last:
            seconds = self._pairs.seconds
            self._update([judgement.final(result, level(), seconds) for result in record.undecided])

    def _update(self, results: list[MetricResult]) -> None:
        new = {result.metric: result for result in results}
        self.record.metrics = [new.get(result.metric, result) for result in self.record.metrics]

    def _series(self, pairs: list[PairRecord]) -> list[PairedSeries]:
        batch_sizes = [configuration.batch_size for configuration in self.record.configurations]
        return series(pairs, self._benchmark.limits, batch_sizes) if pairs else []


def _check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Ended(reasons.BudgetSpent())
