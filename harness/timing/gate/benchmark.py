"""One benchmark of a gate: its first steps are compared, then a few pairs are judged, then more pairs."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from harness.errors import UsageError
from harness.timing.engine.pairs import Program, steps_of, trainings_of
from harness.timing.engine.record import MOST_PAIRS, PairRecord
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.engine.steps.equal_work import WorkRequest, compare_work, observe_work
from harness.timing.engine.steps.findings import WorkComparison, comparison_text
from harness.timing.engine.steps.own import StepRefused
from harness.timing.engine.steps.profiling import profile_sides
from harness.timing.engine.steps.timed_calls import TimedCalls
from harness.timing.environments.imports import ImportedFiles
from harness.timing.environments.suite import Benchmark
from harness.timing.gate import judgement
from harness.timing.gate.conclusion import Ended, conclude
from harness.timing.gate.first_steps import compare_first_steps
from harness.timing.gate.metrics import PairedSeries, limits_of, series
from harness.timing.gate.pair_maker import PairMaker
from harness.timing.gate.reasons import MORE_TIME, Reason
from harness.timing.gate.record import BenchmarkRecord, QualityResult
from harness.timing.gate.trainings import compare_trainings

#: Turns of a pair that is made for the first step alone, which is over when blocks begin. Memory that grows
#: from step to step needs them all.
_FEWEST_TURNS = 2


@dataclass(eq=False)
class BenchmarkComparison:
    """A comparison of base and head (``workloads``) on one benchmark, which fills its ``record``.

    A failure ends it: FAIL if head failed, INVALID if base did. ``worse_level`` is the chance to fail a head
    whose first steps differ and that learns as well as base. ``most_seconds`` limits the confirmation and
    the trainings.
    """

    benchmark: Benchmark
    workloads: Sequence[Program]
    record: BenchmarkRecord
    say: Callable[[str], None]
    turns: int | None
    worse_level: float
    most_seconds: float = math.inf
    is_new: bool = False
    """Base's suite lacks it, so base need not be able to run it."""
    files: ImportedFiles = field(default_factory=ImportedFiles)
    """The files that the processes of its steps imported."""

    def __post_init__(self) -> None:
        self.record.turns = self.turns or 0
        self._confirming_seconds = 0.0
        self._timed_calls = TimedCalls()
        self._is_over = False
        self._pairs = PairMaker(self.workloads, self.record.dataset.name, self.say, self.files)

    def check(self, deadline: float) -> bool:
        """Compare the first steps, which is cheap; return False if there is nothing more to measure."""
        return conclude(self.record, lambda: self._check(deadline)) and not self._is_settled

    def _check(self, deadline: float) -> None:
        _check_time(deadline)
        self.say("comparing the first steps")
        dataset = self.record.dataset.name
        self.record.quality = compare_sides(
            self.workloads, self.benchmark, dataset, self.files, is_new=self.is_new
        )

    @property
    def _is_settled(self) -> bool:
        """True if the first steps decide: they differ, and no other quality is allowed."""
        quality, limits = self.record.quality, self.benchmark.limits
        if quality is None or quality.verdict == "PASS":
            return not limits_of(limits)
        return quality.verdict == "FAIL" and not self._may_train(quality)

    def look(self, deadline: float) -> None:
        """Judge a few pairs; nothing is started after ``deadline``."""
        conclude(self.record, lambda: self._look(deadline))

    def _look(self, deadline: float) -> None:
        record, limits = self.record, self.benchmark.limits
        if record.quality is None:
            self._check(deadline)
        _check_time(deadline)
        if record.quality is not None and self._may_train(record.quality):
            record.quality = self._trainings(record.quality, deadline)
        if record.quality is None or record.quality.verdict == "FAIL" or not limits_of(limits):
            return
        _check_time(deadline)
        self.say("trying base and head once")
        prepared = self._pairs.prepare(self.turns)
        record.configurations, record.turns = prepared.records, prepared.turns
        record.dataset = prepared.read(record.dataset)
        _check_time(deadline)
        self.say(f"quick check: {judgement.LOOK_PAIRS} pairs of about {self._pairs.seconds:.0f} s")
        for _ in range(judgement.LOOK_PAIRS):
            if record.look and time.monotonic() > deadline:
                break  # what is known is judged
            _check_time(deadline)
            record.look.append(self._pairs.make(record.turns))
            if self._does_other_work():
                return
        record.metrics = [judgement.looked_at(look, limits.max_speedup) for look in self._series(record.look)]

    def _may_train(self, first_steps: QualityResult) -> bool:
        """Check that trainings over seeds may show that head learns as well.

        Scores on other data cannot be compared.
        """
        is_comparable = not any(reason.kind == "other data" for reason in first_steps.reasons)
        allowed = self.benchmark.limits.max_accuracy_loss is not None
        return first_steps.verdict != "PASS" and allowed and is_comparable

    def _trainings(self, first_steps: QualityResult, deadline: float) -> QualityResult:
        benchmark, data = self.benchmark, self.record.dataset.name
        first_seed = 0 if benchmark.seed == "own" else benchmark.seed
        not_finite = any(reason.kind == "not finite" for reason in first_steps.reasons)
        observed = "losses of the first steps are not finite" if not_finite else "the first steps differ"
        self.say(f"{observed}: comparing trainings over seeds")
        trainings = compare_trainings(
            trainings_of(self.workloads),
            data,
            benchmark.limits,
            self.worse_level,
            range(first_seed, first_seed + benchmark.seeds),
            min(deadline, time.monotonic() + self.most_seconds),
            self.say,
        )
        return msgspec.structs.replace(trainings, frameworks=first_steps.frameworks)

    def judge(self, level: Callable[[], float]) -> None:
        """Judge the undecided metrics by the pairs of the look, which show a large loss."""
        conclude(self.record, lambda: self._judge(level, last=False))

    def confirm(self, level: Callable[[], float], deadline: float) -> bool:
        """Make one more pair and judge the undecided metrics; return False at the end.

        If no more pairs will come, because the next would end too late or the most pairs are made, the
        verdict is final. ``deadline`` is of :func:`time.monotonic`; ``level``, of the proof that head is
        worse, is computed again each time.
        """
        start = time.monotonic()
        left = min(deadline - start, self.most_seconds - self._confirming_seconds)
        last = left < self._pairs.seconds or len(self.record.confirmation) >= MOST_PAIRS
        went_on = conclude(self.record, lambda: self._confirm(level, last=last))
        self._confirming_seconds += time.monotonic() - start
        return went_on and bool(self.record.undecided) and not (last or self._is_over)

    @property
    def is_slower(self) -> bool:
        """True if the step time failed."""
        return any(result.metric == "step" and result.verdict == "FAIL" for result in self.record.metrics)

    def profile(self) -> None:
        """Profile processes of base and head in alternation."""
        self.record.profiles = profile_sides(self.workloads, self.record.dataset.name, self.say)

    def _confirm(self, level: Callable[[], float], *, last: bool) -> None:
        record = self.record
        if not last:
            undecided = {result.metric for result in record.undecided}
            turns = min(_FEWEST_TURNS, record.turns) if undecided == {"first step"} else record.turns
            record.confirmation.append(self._pairs.make(turns))
            self._is_over = last = self._does_other_work()
        self._judge(level, last=last)

    def _does_other_work(self) -> bool:
        """Compare the timed calls of a step in the last pair; True if head computes something else."""
        quality = self.record.quality
        if quality is None or quality.values is None:
            return False
        (work,) = self._timed_calls.compare([quality.values], self._pairs.returned)
        self.record.quality = judged_work(work)
        return self.record.quality.verdict == "FAIL"

    def _judge(self, level: Callable[[], float], *, last: bool) -> None:
        new = [
            judgement.confirmed(paired, self.benchmark.limits.max_speedup, level(), last=last)
            for paired in self._undecided()
        ]
        if last:
            new = [judgement.final(result) for result in new]
        judged = {result.metric: result for result in new}
        self.record.metrics = [judged.get(result.metric, result) for result in self.record.metrics]

    def _undecided(self) -> list[PairedSeries]:
        """Return the metrics that are not decided, over all pairs so far."""
        metrics = {result.metric for result in self.record.undecided}
        every = self._series([*self.record.look, *self.record.confirmation])
        return [paired for paired in every if paired.metric in metrics]

    def _series(self, pairs: list[PairRecord]) -> list[PairedSeries]:
        batch_sizes = [configuration.batch_size for configuration in self.record.configurations]
        return series(pairs, self.benchmark.limits, batch_sizes) if pairs else []


def compare_sides(
    workloads: Sequence[Program],
    benchmark: Benchmark,
    dataset: str,
    files: ImportedFiles,
    *,
    is_new: bool = False,
) -> QualityResult:
    """Check that head computes what base computes, by first training steps or first calls of a step.

    ``files`` gets the files that the processes of steps import. Base need not be able to run a step that
    ``is_new``, or whose file it lacks.
    """
    if trainings := trainings_of(workloads):
        return compare_first_steps(trainings, dataset)
    base, head = steps_of(workloads)
    request = WorkRequest(
        calls=benchmark.compare_calls, tolerance=benchmark.tolerance, values=benchmark.values
    )
    try:
        (work,) = compare_work([base, head], request, files.add)
    except (ConfigurationFailed, StepRefused) as error:
        if error.label != base.label or not (is_new or base.target.lacks_file):
            raise
        try:
            observe_work(head, benchmark.compare_calls)
        except StepRefused as refused:  # by both sides
            raise UsageError(str(refused)) from refused
        text = f"new: base has no such step, so head's was run alone ({error.reason})"
        raise Ended(Reason(kind="new benchmark", text=text)) from error
    files.refuse_wrong_code(base, head)
    return judged_work(work)


def judged_work(work: WorkComparison) -> QualityResult:
    """Return the verdict on the values of a step."""
    text = comparison_text(work)
    if work.difference is not None:
        accept = 'set values = "differ" or a tolerance'
        differs = Reason(kind="values differ", text=text, accept=accept, command="run head")
        return QualityResult(verdict="FAIL", reasons=[differs], worst=work.largest, values=work)
    if work.outcome == "not finite":
        hint = "Change the step so that its values are finite."
        not_finite = Reason(kind="not finite", text=text, hint=hint)
        return QualityResult(verdict="INVALID", reasons=[not_finite], values=work)
    is_plain = work.outcome == "same" and not work.other_versions
    beside = [] if is_plain else [Reason(kind="note", text=text)]
    return QualityResult(verdict="PASS", reasons=beside, worst=work.largest, values=work)


def _check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        text = "the budget was spent before the first pair was made"
        raise Ended(Reason(kind="not measured", text=text, hint=MORE_TIME))
