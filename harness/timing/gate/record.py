"""The record of a gate: the request, the measurements, and the verdict on each benchmark.

Times are in seconds, memory in bytes. Ratios are head's over base's: above 1 is worse.
"""

from typing import Literal

import msgspec

from harness.core.documents.contents import Needs
from harness.core.documents.kinds import Envelope, RecordKind
from harness.core.runs.record import DatasetRecord
from harness.core.stats.estimate import Estimate
from harness.timing.engine.record import ConfigurationRecord, PairRecord, refuse_incomplete
from harness.timing.engine.steps.findings import WorkComparison
from harness.timing.engine.steps.profiles import Profiles
from harness.timing.environments.record import EnvironmentRecord
from harness.timing.environments.suite import Benchmark, Limits
from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.reasons import Reason

SCHEMA = 8

#: PASS: within all limits. FAIL: worse than base. INCONCLUSIVE: more time, a quieter machine or more seeds
#: would decide. INVALID: what was measured cannot be believed, or nothing was measured.
Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID"]

#: The look: a few pairs of every benchmark. The confirmation: fresh pairs of those that it does not clear.
Stage = Literal["look", "confirmation"]


class MetricResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one metric, from pairs of processes.

    ``base`` and ``head`` are medians over processes. ``limit`` is the share allowed, as 0.05. ``p_value`` is
    of the one-sided test that head is no worse than base, in the stage ``confirmation``; None in the stage
    ``look``, which only selects the metrics to confirm. ``pairs`` is the number that the verdict rests on,
    those of the look included.
    """

    metric: MetricName
    verdict: Verdict
    reasons: list[Reason] = []
    """Empty for PASS."""
    stage: Stage
    limit: float
    base: float
    head: float
    ratio: Estimate | None
    """Head over base, with its 95 % interval where there are 5 pairs or more. None: no pair is usable."""
    p_value: float | None
    pairs: int
    weight: float | None = None
    """Effective number of pairs, outliers down-weighted; None where they are not."""
    uneven: bool = False
    """For a step: a few blocks are far from the others in most pairs, and ``ratio`` is over all blocks."""
    level: float | None = None
    """In the confirmation, head fails by a ``p_value`` up to this level."""

    def __post_init__(self) -> None:
        """Refuse a metric that is not known here, as of a damaged file."""
        if self.metric not in metrics():
            raise ValueError(f"unknown metric {self.metric}")

    @property
    def shown_head(self) -> float:
        """The median of head; for steps, that of base times the change, which is taken turn by turn.

        Medians over processes include the drift of the machine and may contradict the change.
        """
        return self.head if self.metric != "step" or self.ratio is None else self.base * self.ratio.value

    @property
    def is_usable(self) -> bool:
        """True if its ratio was measured and can be believed."""
        return self.ratio is not None and self.verdict != "INVALID"


class SeedScores(msgspec.Struct, frozen=True, kw_only=True):
    """The validation scores of one seed at the best epochs of base and head.

    None: a loss was not finite, or no score was.
    """

    seed: int
    base: float | None
    head: float | None


class QualityResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on quality: does head learn what base learns?

    ``worst`` is the largest relative deviation of head's first losses from base's, in float64 where the
    backend has it, or of the values of a step. Where losses deviate by more than rounding and the suite
    allows another quality, both were trained on ``seeds``.
    """

    verdict: Verdict
    reasons: list[Reason] = []
    """The most important first. Beside PASS a note may stand."""
    worst: float | None = None
    values: WorkComparison | None = None
    """The comparison of the values of a step of the user's own."""
    measure: str = ""
    seeds: list[SeedScores] = []
    frameworks: list[dict[str, str]] = []
    """The frameworks with which the first losses of base and of head were computed."""


class BenchmarkRecord(msgspec.Struct, kw_only=True):
    """One benchmark of a suite: base and head, the pairs of both stages, and the verdict.

    The verdict is the worst of its metrics, its quality and its early end.
    """

    name: str
    backend: str
    mode: str
    task: str
    options: dict[str, bool | int | float | str]
    asked: Benchmark = msgspec.field(name="benchmark")
    """The settings of the suite; the rest is the default of the task and the machine."""
    dataset: DatasetRecord
    threads: int
    limits: Limits
    has_reference: bool = True
    """``harness check`` can locate a deviation of head; a model of the user's own has no reference."""
    turns: int = 0
    configurations: list[ConfigurationRecord] = []
    """Base, head."""
    look: list[PairRecord] = []
    confirmation: list[PairRecord] = []
    quality: QualityResult | None = None
    metrics: list[MetricResult] = []
    verdict: Verdict = "INVALID"
    reasons: list[Reason] = []
    """The reasons of an early end; those of metrics and quality stand there alone."""
    profiles: Profiles | None = None
    """Profiles of a step in base and head; None where nobody asked and no step time failed."""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError if the parts of a damaged file do not fit together."""
        for pairs in (self.look, self.confirmation):
            if self.configurations:
                refuse_incomplete(pairs, len(self.configurations))

    @property
    def is_step(self) -> bool:
        """True for a step of the user's own; ``task`` is then its factory."""
        return bool(self.asked.step)

    @property
    def results(self) -> list[MetricResult | QualityResult]:
        """The metrics, then the quality."""
        return [*self.metrics, *([] if self.quality is None else [self.quality])]

    @property
    def undecided(self) -> list[MetricResult]:
        """The metrics that more pairs may still decide."""
        return [result for result in self.metrics if result.verdict in {"INCONCLUSIVE", "INVALID"}]


class Upgrade(msgspec.Struct, frozen=True):
    """The requirements in base and in head, where nothing else differs: two versions of a framework."""

    base: list[str]
    head: list[str]


class GateRecord(Envelope, msgspec.Struct, kw_only=True):
    """A gate: a suite of benchmarks on base and head."""

    schema: int = SCHEMA
    failure: str = ""
    suite: str
    """The file that the suite was read from."""
    base: EnvironmentRecord
    head: EnvironmentRecord
    false_alarms: float
    """The chance, over the whole suite, that unchanged code fails."""
    upgrade: Upgrade | None = None
    """Set where base and head differ in requirements alone."""
    suite_difference: list[str] = []
    """The settings that head's suite has otherwise than base's, which judges: lines with ``-`` and ``+``."""
    benchmarks: list[BenchmarkRecord] = []
    verdict: Verdict = "INVALID"
    """The worst of the benchmarks; INVALID for a gate that did not end and has no FAIL."""
    seconds: float = 0.0


GATES = RecordKind(
    name="gate",
    folder="gates",
    type=GateRecord,
    schema=SCHEMA,
    mark="benchmarks",
    row="harness.timing.gate.page:row",
    document="harness.timing.gate.page:gate_document",
    needs=lambda record: Needs(
        [each.asked.step for each in record.benchmarks if each.is_step],
        [each.backend for each in record.benchmarks if not each.is_step],
    ),
)


#: The verdict that INCONCLUSIVE counts as. None: INCONCLUSIVE.
Inconclusive = Literal["pass", "fail"] | None


#: Records with a verdict and reasons.
Judged = BenchmarkRecord | MetricResult | QualityResult


def forgiven(judged: Judged, inconclusive: Inconclusive) -> bool:
    """Check that ``--inconclusive pass`` makes this INCONCLUSIVE a PASS.

    INVALID never passes, nor does INCONCLUSIVE where a reason blocks it.
    """
    if judged.verdict != "INCONCLUSIVE" or inconclusive != "pass":
        return False
    if any(reason.blocks_pass for reason in judged.reasons):
        return False
    if not isinstance(judged, BenchmarkRecord):
        return True
    return all(result.verdict == "PASS" or forgiven(result, inconclusive) for result in judged.results)


def folded(record: GateRecord, inconclusive: Inconclusive) -> Verdict:
    """Return the verdict of a whole gate with INCONCLUSIVE folded."""
    if record.verdict != "INCONCLUSIVE" or inconclusive is None:
        return record.verdict
    if inconclusive == "fail":
        return "FAIL"
    passes = (
        benchmark.verdict == "PASS" or forgiven(benchmark, inconclusive) for benchmark in record.benchmarks
    )
    return "PASS" if record.status == "ok" and record.benchmarks and all(passes) else "INCONCLUSIVE"
