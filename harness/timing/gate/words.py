"""A gate in words: changes, verdicts, and reasons. Nothing here imports NumPy."""

import math

from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import NOTHING, counted, percent_change, time_ratio
from harness.core.stats.estimate import Estimate
from harness.timing.engine.page import UNEVEN, pairs_text
from harness.timing.engine.steps.findings import OUTCOME_WORDS
from harness.timing.gate.metric_table import UNBOUNDED, MetricName, metrics
from harness.timing.gate.reasons import reasons_text
from harness.timing.gate.record import BenchmarkRecord, GateRecord, MetricResult, QualityResult, Verdict

#: A log ratio of 0 and another value; see :data:`harness.timing.gate.metric_table.UNBOUNDED`.
_NEARLY_UNBOUNDED = 0.99 * math.log(UNBOUNDED)
#: Verdicts other than PASS, in the order in which every report lists them, as words.
_NOT_PASSED: dict[Verdict, str] = {"FAIL": "failed", "INVALID": "invalid", "INCONCLUSIVE": "inconclusive"}
#: How to read every change in a gate or a history.
CHANGE_LEGEND = (
    "Changes are of head relative to base: + is slower or larger, \N{MINUS SIGN} is faster or smaller. "
    "Brackets hold the 95 % confidence interval."
)


def change(metric: MetricName, ratio: Estimate | None) -> str:
    """Return the ratio of a metric, head over base, as ``+7.1 % [5.9, 8.3]``, ``from 0`` or ``to 0``."""
    if ratio is None:
        return NOTHING
    if metrics()[metric].is_time:
        return time_ratio(ratio)
    if abs(math.log(ratio.value)) > _NEARLY_UNBOUNDED:
        return "from 0" if ratio.value > 1 else "to 0"
    return percent_change(ratio)


def limit(result: MetricResult) -> str:
    """Return ``≤ 5 %``."""
    if result.limit < 0:
        return f"saves ≥ {-100 * result.limit:g} %"
    return f"≤ {100 * result.limit:g} %"


def headline(record: GateRecord) -> str:
    """Say why the gate has its verdict: the counts and names of the benchmarks that did not pass."""
    if record.failure:
        end = "did not end" if record.benchmarks else "could not run"
        return f"the gate {end}: {one_line(record.failure)}"
    if record.status == "running":
        return "the gate did not end; this is its state so far"
    if not record.benchmarks:
        return "no benchmark ran, and a gate without results does not pass"
    total = len(record.benchmarks)
    counts: list[str] = []
    for verdict, word in _NOT_PASSED.items():
        names = [one_line(benchmark.name) for benchmark in record.benchmarks if benchmark.verdict == verdict]
        of_all = "" if counts else f" of {counted(total, 'benchmark')}"
        counts += [f"{len(names)}{of_all} {word} ({', '.join(names)})"] if names else []
    if not counts:
        everything = (
            "the benchmark is within its" if total == 1 else f"all {total} benchmarks are within their"
        )
        return f"{everything} limits{_proven_claim(record)}"
    return ", ".join(counts)


def _proven_claim(record: GateRecord) -> str:
    """Return the clause about the saving that all benchmarks claimed and proved; empty where none did."""
    every = [result for benchmark in record.benchmarks for result in benchmark.metrics]
    claims = {-result.limit for result in every if result.metric == "step" and result.limit < 0}
    return f"; a saving of {100 * min(claims):g} % is proven" if claims else ""


#: The verdict of an upgrade.
_UPGRADES: dict[Verdict, str] = {
    "PASS": "safe",
    "FAIL": "not safe",
    "INCONCLUSIVE": "undecided",
    "INVALID": "not measured",
}


def upgrade_headline(record: GateRecord) -> str:
    """Return ``safe: the same results to 3e-10; step -6.1 % [-7.0, -5.1]``, over all benchmarks."""
    qualities = [benchmark.quality for benchmark in record.benchmarks]
    verdicts = {quality and quality.verdict for quality in qualities}
    results = "results differ" if "FAIL" in verdicts else "results were not all compared"
    if verdicts == {"PASS"}:
        compared = [quality.worst for quality in qualities if quality is not None]
        worst = max((each for each in compared if each is not None), default=0.0)
        results = f"the same results to {worst:.0e}" if worst else "the same results, bit by bit"
        if None in compared:
            results = "results were not all compared"
    ratios = {metric: _over_benchmarks(record, metric) for metric in metrics()}
    changes = [f"{metric} {change(metric, ratio)}" for metric, ratio in ratios.items() if ratio]
    return "; ".join(filter(None, [f"{_UPGRADES[record.verdict]}: {results}", ", ".join(changes)]))


def _over_benchmarks(record: GateRecord, metric: MetricName) -> Estimate | None:
    """Return the geometric mean of a metric's ratios, whose intervals are independent of each other."""
    every = [result for benchmark in record.benchmarks for result in benchmark.metrics]
    ratios = [result.ratio for result in every if result.metric == metric and result.ratio is not None]
    if not ratios:
        return None
    mean = math.exp(math.fsum(math.log(ratio.value) for ratio in ratios) / len(ratios))
    widths = [
        math.log(ratio.high / ratio.low) / 2
        for ratio in ratios
        if ratio.low is not None and ratio.high is not None
    ]
    if len(widths) < len(ratios):
        return Estimate(mean, None, None, len(ratios))
    factor = math.exp(math.hypot(*widths) / len(ratios))
    return Estimate(mean, mean / factor, mean * factor, len(ratios))


def metric_text(result: MetricResult) -> str:
    """Return ``step +7.1 % [5.9, 8.3], limit 5 % (8 pairs, p = 0.004): head is proven worse than base``."""
    evidence = pairs_text(result)
    if result.p_value is not None:
        evidence += f", p = {result.p_value:.2g}"
    name = "limit" if result.limit >= 0 else "claimed saving"
    bound = f"{name} {100 * abs(result.limit):g} %"
    figures = f"{result.metric} {change(result.metric, result.ratio)}, {bound}"
    uneven = f"; {UNEVEN}" if result.uneven else ""
    return ": ".join(filter(None, [f"{figures} ({evidence}{uneven})", reasons_text(result.reasons)]))


def quality_text(quality: QualityResult) -> str:
    """Say why the quality has its verdict; for PASS, what was compared."""
    if quality.reasons:
        return reasons_text(quality.reasons)
    return "losses of the first steps" if not quality.seeds else f"{quality.measure} over the same seeds"


def why(benchmark: BenchmarkRecord) -> str:
    """Return the reasons of a verdict other than PASS, without a full stop; those of a FAIL first."""
    parts = list(map(str, benchmark.reasons))
    parts += [
        metric_text(result) if isinstance(result, MetricResult) else quality_text(result)
        for verdict in _NOT_PASSED
        for result in benchmark.results
        if result.verdict == verdict
    ]
    return "; ".join(parts) or "nothing was measured"


#: Quality in a word or two: of the first losses, and where training showed the cost of a difference.
_QUALITY_WORDS: dict[Verdict, tuple[str, str]] = {
    "PASS": ("same", "no worse"),
    "FAIL": ("different", "worse"),
    "INCONCLUSIVE": ("undecided", "undecided"),
    "INVALID": ("not comparable", "not comparable"),
}


def quality_word(benchmark: BenchmarkRecord) -> str:
    """Return the quality, or the result of the comparison of values, in a word or two."""
    quality = benchmark.quality
    if quality is not None and quality.values is not None:
        return OUTCOME_WORDS[quality.values.outcome]
    return NOTHING if quality is None else _QUALITY_WORDS[quality.verdict][bool(quality.seeds)]


def not_passed(record: GateRecord) -> list[BenchmarkRecord]:
    """Return the benchmarks that need attention, failures first.

    After the failure of the gate itself these are not the benchmarks that it did not come to.
    """
    failed_first = list(_NOT_PASSED)
    others = [
        benchmark
        for benchmark in record.benchmarks
        if benchmark.verdict != "PASS" and (not record.failure or benchmark.reasons or benchmark.results)
    ]
    return sorted(others, key=lambda benchmark: failed_first.index(benchmark.verdict))
