"""A gate in words: the verdict in one line, each metric with its limit, and why a benchmark did not pass."""

from collections.abc import Iterator

from harness.gate.record import (
    BenchmarkRecord,
    GateRecord,
    Metric,
    MetricResult,
    QualityResult,
    Verdict,
)
from harness.report.duel_verdict import UNEVEN
from harness.report.escaping import one_line
from harness.report.gate_reasons import reason_text
from harness.report.numbers import NOTHING, percent_change, time_ratio
from harness.stats.estimate import Estimate

#: In the order in which every report lists them.
METRICS: tuple[Metric, ...] = ("step", "first step", "memory")
#: Those other than PASS, in the order in which every report lists them.
_NOT_PASSED: tuple[Verdict, ...] = ("FAIL", "INVALID", "INCONCLUSIVE")
_WORDS: dict[Verdict, str] = {"FAIL": "failed", "INVALID": "invalid", "INCONCLUSIVE": "inconclusive"}
#: How every change in a gate or a history is to be read.
CHANGE_LEGEND = (
    "Changes are of head relative to base: + is slower or larger, \N{MINUS SIGN} is faster or smaller. "
    "Brackets hold the 95 % confidence interval."
)
#: Down-weighted outliers are mentioned where they cost more than this share of the pairs.
_LOST_WEIGHT_SHOWN = 0.1


def change(metric: Metric, ratio: Estimate | None) -> str:
    """``+7.1 % [5.9, 8.3]``: a ratio of times or of memory, head over base."""
    if ratio is None:
        return NOTHING
    return percent_change(ratio) if metric == "memory" else time_ratio(ratio)


def limit(result: MetricResult) -> str:
    """``≤ 5 %``."""
    return f"≤ {100 * result.limit:g} %"


def headline(record: GateRecord) -> str:
    """Why the gate has its verdict: the counts and names of the benchmarks that did not pass."""
    if record.failure:
        return f"the gate did not end: {one_line(record.failure)}"
    if record.status == "running":
        return "the gate did not end; this is its state so far"
    if not record.benchmarks:
        return "no benchmark ran, and a gate without results does not pass"
    total = len(record.benchmarks)
    names = {verdict: _names(record, verdict) for verdict in _NOT_PASSED}
    counts = [
        (len(names[verdict]), f"{_WORDS[verdict]} ({', '.join(names[verdict])})")
        for verdict in _NOT_PASSED
        if names[verdict]
    ]
    if not counts:
        return f"{_all(total)} within {'its' if total == 1 else 'their'} limits"
    (first, words), *others = counts
    of_all = f"{first} of {total} benchmark{'s' * (total != 1)} {words}"
    return ", ".join([of_all, *(f"{count} {words}" for count, words in others)])


def _all(count: int) -> str:
    return "the benchmark is" if count == 1 else f"all {count} benchmarks are"


def _names(record: GateRecord, verdict: Verdict) -> list[str]:
    return [one_line(benchmark.name) for benchmark in record.benchmarks if benchmark.verdict == verdict]


def metric_text(result: MetricResult) -> str:
    """``step +7.1 % [5.9, 8.3], limit 5 % (8 pairs, p = 0.004): head is proven worse than base``."""
    evidence = f"{result.pairs} pair{'s' * (result.pairs != 1)}"
    if result.weight is not None and result.weight < (1 - _LOST_WEIGHT_SHOWN) * result.pairs:
        evidence += ", outliers down-weighted"
    if result.p_value is not None:
        evidence += f", p = {result.p_value:.2g}"
        if result.looks and result.verdict != "FAIL":  # by the earlier rule; a FAIL rests on the fresh ones
            evidence += " of the fresh pairs"
    figures = f"{result.metric} {change(result.metric, result.ratio)}, limit {100 * result.limit:g} %"
    uneven = f"; {UNEVEN}" if result.uneven else ""
    return ": ".join([f"{figures} ({evidence}{uneven})", *_clauses(result)])


def _clauses(result: MetricResult | QualityResult) -> list[str]:
    text = "; ".join(map(reason_text, result.reasons))
    return [text] if text else []


def quality_text(quality: QualityResult) -> str:
    """Why the quality has its verdict; of PASS what was compared."""
    if clauses := _clauses(quality):
        return clauses[0]
    return "losses of the first steps" if not quality.seeds else f"{quality.measure} over the same seeds"


def why(benchmark: BenchmarkRecord) -> str:
    """The reasons of a verdict other than PASS, without a full stop; those of a FAIL first."""
    parts = [reason_text(reason) for reason in benchmark.reasons]
    for verdict in _NOT_PASSED:
        parts += _result_texts(benchmark, verdict)
    return "; ".join(parts) or "nothing was measured"


def _result_texts(benchmark: BenchmarkRecord, verdict: Verdict) -> Iterator[str]:
    for result in benchmark.results:
        if result.verdict == verdict:
            yield metric_text(result) if isinstance(result, MetricResult) else quality_text(result)


def quality_word(benchmark: BenchmarkRecord) -> str:
    """Quality in a word or two."""
    quality = benchmark.quality
    if quality is None:
        return NOTHING
    words: dict[Verdict, str] = {
        "PASS": "same",
        "FAIL": "different",
        "INCONCLUSIVE": "undecided",
        "INVALID": "not comparable",
    }
    if quality.seeds:  # both were trained, so that the cost of the difference is known
        words |= {"PASS": "no worse", "FAIL": "worse"}
    return words[quality.verdict]


def not_passed(record: GateRecord) -> list[BenchmarkRecord]:
    """The benchmarks that need attention, failures first."""
    return [
        benchmark
        for verdict in _NOT_PASSED
        for benchmark in record.benchmarks
        if benchmark.verdict == verdict
    ]
