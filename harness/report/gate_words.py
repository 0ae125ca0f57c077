"""A gate in words: its verdict, each metric against its limit, and of what did not pass why."""

from harness.duel.record import UNEVEN
from harness.gate.record import (
    BenchmarkRecord,
    EnvironmentRecord,
    GateRecord,
    Metric,
    MetricResult,
    QualityResult,
    Verdict,
)
from harness.plugins.versions import PLUGIN
from harness.report.escaping import one_line
from harness.report.numbers import NOTHING, percent_change, time_ratio
from harness.stats.estimate import Estimate

#: In the order in which every report lists them.
METRICS: tuple[Metric, ...] = ("step", "first step", "memory")
#: How every change in a gate or a history is to be read.
CHANGE_LEGEND = (
    "Changes are of head relative to base: + is slower or larger, \N{MINUS SIGN} is faster or smaller. "
    "Brackets hold the 95 % confidence interval."
)
_COMMIT_DIGITS = 10
#: Of the pairs, the share that their weights must take for it to be told.
_WORTH_TELLING = 0.1


def change(metric: Metric, ratio: Estimate | None) -> str:
    """``+7.1 % [5.9, 8.3]``: head's time or memory relative to base's, in the one form of each."""
    if ratio is None:
        return NOTHING
    return percent_change(ratio) if metric == "memory" else time_ratio(ratio)


def change_of(result: MetricResult) -> str:
    """The change that a metric showed."""
    return change(result.metric, estimate_of(result))


def estimate_of(result: MetricResult) -> Estimate | None:
    """The ratio with its interval."""
    if result.ratio is None:
        return None
    return Estimate(result.ratio, result.low, result.high, result.pairs)


def limit(result: MetricResult) -> str:
    """``≤ 5 %``."""
    return f"≤ {100 * result.limit:g} %"


def headline(record: GateRecord) -> str:
    """The suite's verdict with the benchmarks that it comes from."""
    if record.failure:
        return f"{record.verdict}: the gate {record.status}: {one_line(record.failure)}"
    if record.status == "running":
        return f"{record.verdict}: the gate did not end, and this is what it had found by then"
    if not record.benchmarks:
        return f"{record.verdict}: no benchmark ran, and a suite of which nothing ran has not passed"
    named = {verdict: _names(record, verdict) for verdict in ("FAIL", "INCONCLUSIVE", "PASS")}
    count = len(record.benchmarks)
    if len(named["PASS"]) == count:
        return f"{record.verdict}: {_all(count)} within {'its' if count == 1 else 'their'} limits"
    told = [
        f"{len(names)} of {count} {words} ({', '.join(names)})"
        for words, names in (("failed", named["FAIL"]), ("inconclusive", named["INCONCLUSIVE"]))
        if names
    ]
    return f"{record.verdict}: {', '.join(told)}"


def _all(count: int) -> str:
    return "the one benchmark is" if count == 1 else f"all {count} benchmarks are"


def _names(record: GateRecord, verdict: str) -> list[str]:
    return [one_line(one.name) for one in record.benchmarks if one.verdict == verdict]


def circumstances(record: GateRecord) -> str:
    """What was held against what, where, and how sure; and what a reader must know of the two."""
    weaker = record.against == "stored baseline"
    base = "a stored baseline, which is the weaker way," if weaker else _environment(record.base)
    told = (
        f"{_environment(record.head)} against {base} with {record.suite} on {record.machine.cpu}, "
        f"{record.seconds / 60:.1f} min; unchanged code fails in at most "
        f"{100 * record.false_alarms:g} % of gates."
    )
    unwatched = f"Nothing tells whether a benchmark has vanished: {record.unwatched}."
    return one_line(" ".join([told, *cautions(record), *([unwatched] if record.unwatched else [])]))


def cautions(record: GateRecord) -> list[str]:
    """What a reader must know of the two sides, in sentences; most often none."""
    told = []
    base, head = record.base, record.head
    if record.against == "environment" and _same(base, head):
        told.append("Base and head are the same: nothing but chance can tell them apart.")
    if found := next(filter(None, map(_versions, record.benchmarks)), ""):
        told.append(f"Base and head have other versions: {found}.")
    told += [
        f"{one_line(one.name)}: {one.quality.reason}."
        for one in record.benchmarks
        if one.quality is not None and one.quality.verdict == "PASS" and one.quality.reason
    ]
    told += [f"{one_line(words)}." for words in dict.fromkeys([*base.cautions, *head.cautions])]
    told += filter(None, map(_batches, record.benchmarks))
    stand_ins = {
        f"{one.dataset.name} stands in for {one.dataset.stands_in_for}: {one.dataset.reason}."
        for one in record.benchmarks
        if one.dataset.stands_in_for
    }
    return [*told, *sorted(stand_ins)]


def _same(base: EnvironmentRecord, head: EnvironmentRecord) -> bool:
    if base.variables != head.variables:
        return False
    return base.python == head.python or bool(base.commit and base.commit == head.commit)


def _versions(benchmark: BenchmarkRecord) -> str:
    """``torch 2.12.0 and 2.13.0``, of what the sides run on; empty where they agree or one is not known."""
    frameworks = benchmark.quality.frameworks if benchmark.quality else []
    frameworks = [side.framework for side in benchmark.sides] or frameworks
    if len(frameworks) < 2 or not all(frameworks):  # noqa: PLR2004  base and head
        return ""
    base, head = frameworks
    names = [name for name in {**base, **head} if base.get(name) != head.get(name) and name != PLUGIN]
    return ", ".join(f"{name} {base.get(name, 'none')} and {head.get(name, 'none')}" for name in names)


def _batches(benchmark: BenchmarkRecord) -> str:
    """Why a ratio of steps is not that of their times; empty where it is."""
    sizes = [side.batch_size for side in benchmark.sides]
    if len(set(sizes)) < 2:  # noqa: PLR2004  base and head
        return ""
    return (
        f"{one_line(benchmark.name)}: a step is of {sizes[0]} samples in base and of {sizes[1]} in head, and "
        "the change is of the time per sample."
    )


def _environment(environment: EnvironmentRecord) -> str:
    return environment.commit[:_COMMIT_DIGITS] if environment.commit else environment.python


def subject(benchmark: BenchmarkRecord) -> str:
    """``torch:compile, rnn``."""
    return one_line(f"{benchmark.backend}:{benchmark.mode}, {benchmark.task}")


def metric_sentence(result: MetricResult) -> str:
    """``step +7.1 % [5.9, 8.3], limit 5 % (8 pairs, p = 0.004)``."""
    counted = "processes" if result.unpaired else f"pair{'s' * (result.pairs != 1)}"
    evidence = f"{result.pairs} {counted}"
    if result.weight is not None and result.weight < (1 - _WORTH_TELLING) * result.pairs:
        evidence += f" that count as {result.weight:.0f}, those far off the others less"
    if result.uneven:
        evidence += f"; {UNEVEN}"
    if result.p_value is not None:
        evidence += f", p = {result.p_value:.2g}"
        if result.looks and result.verdict != "FAIL":  # which goes by them alone
            evidence += " of the fresh ones"
    because = f": {one_line(result.reason)}" if result.reason else ""
    return f"{result.metric} {change_of(result)}, limit {100 * result.limit:g} % ({evidence}){because}"


def why(benchmark: BenchmarkRecord) -> str:
    """The reason of a verdict other than PASS, without a full stop."""
    left = [result for result in benchmark.metrics if result.verdict != "PASS"]
    told = [metric_sentence(result) for result in sorted(left, key=lambda one: one.verdict != "FAIL")]
    quality = benchmark.quality
    if quality is not None and quality.verdict != "PASS":
        told.append(one_line(quality.reason or "head's losses differ from base's").rstrip("."))
    if benchmark.reason and not _follows_from(benchmark):
        told = [one_line(benchmark.reason).rstrip(".")]
    return "; ".join(told) or "nothing was measured"


def _follows_from(benchmark: BenchmarkRecord) -> bool:
    """Whether a verdict's reason is that of its metrics or quality, which can be told with figures."""
    found: list[MetricResult | QualityResult] = [*benchmark.metrics]
    found += [benchmark.quality] if benchmark.quality else []
    same = (one.reason for one in found if one.verdict == benchmark.verdict and one.reason)
    return any(reason in benchmark.reason for reason in same)


def quality_word(benchmark: BenchmarkRecord) -> str:
    """Quality in a word or two."""
    quality = benchmark.quality
    if quality is None:
        return NOTHING
    words: dict[Verdict, str] = {"PASS": "same", "FAIL": "other maths", "INCONCLUSIVE": "cannot tell"}
    if quality.seeds:  # both were trained, so that it is known what the difference costs
        words |= {"PASS": "no worse", "FAIL": "WORSE"}
    return words[quality.verdict]


def not_passed(record: GateRecord) -> list[BenchmarkRecord]:
    """The benchmarks that need a person, failures first."""
    left = [benchmark for benchmark in record.benchmarks if benchmark.verdict != "PASS"]
    return sorted(left, key=lambda benchmark: benchmark.verdict != "FAIL")
