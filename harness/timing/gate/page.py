"""Gates: reasons and verdicts in words, tables, and the document of a gate.

Nothing here imports NumPy, so that CI formats do not need it either.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from harness.core.documents.circumstances import (
    command_line,
    filled_facts,
    show_command,
    started,
)
from harness.core.documents.document import (
    Cell,
    Document,
    Facts,
    Figure,
    Figures,
    Folded,
    Item,
    Items,
    Node,
    Only,
    Paragraph,
    Row,
    Section,
    Span,
    Table,
    Tone,
    table_of,
)
from harness.core.documents.escaping import one_line
from harness.core.documents.kinds import Listed
from harness.core.documents.numbers import (
    NOTHING,
    counted,
    estimate,
    machine_text,
    percent,
    percent_change,
    significant,
    time_ratio,
)
from harness.core.plugins.installation import PLUGIN
from harness.core.stats.estimate import Estimate
from harness.timing.engine.page import UNEVEN, load_remarks, pairs_text, profile_sections
from harness.timing.engine.steps.findings import comparison_text, difference_text
from harness.timing.environments.record import EnvironmentRecord
from harness.timing.gate import reasons
from harness.timing.gate.metric_table import UNBOUNDED, MetricName, metrics
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import (
    BenchmarkRecord,
    GateRecord,
    MetricResult,
    QualityResult,
    Verdict,
)

# The reasons of a gate's verdicts as text: the one place that renders them, and nothing reads it again.

_FINGERPRINT_DIGITS = 12


def reason_text(reason: Reason) -> str:
    """A clause in one line, without a full stop."""
    text = _TEXTS[type(reason)]
    if not isinstance(text, str):
        return one_line(text(reason)).rstrip(".")
    fields = msgspec.structs.asdict(reason)
    lists = {name: ", ".join(value) for name, value in fields.items() if isinstance(value, list)}
    return one_line(text.format(**fields | lists)).rstrip(".")


def reasons_text(several: Iterable[Reason]) -> str:
    """The clauses of several reasons."""
    return "; ".join(map(reason_text, several))


def _other_data(reason: reasons.OtherData) -> str:
    base, head = (sha256[:_FINGERPRINT_DIGITS] for sha256 in (reason.base, reason.head))
    return f"head reads data with sha256 {head}…, base with sha256 {base}…"


def _loss_differs(reason: reasons.LossDiffers) -> str:
    size = "" if reason.deviation is None else f" (relative deviation {reason.deviation:.1e})"
    return f"in {reason.precision} the loss of step {reason.step} is {_both(reason)}{size}"


def _score_differs(reason: reasons.ScoreDiffers) -> str:
    validation = f"after {reason.steps} steps the validation {reason.score} is {_both(reason)}"
    return f"all losses agree, but {validation}: evaluation differs"


def _both(reason: reasons.LossDiffers | reasons.ScoreDiffers) -> str:
    base, head = ("not finite" if value is None else str(value) for value in (reason.base, reason.head))
    return f"{head} in head, {base} in base"


def _task_changed(reason: reasons.TaskChanged) -> str:
    changes = [f"{name} {new} instead of {old}" for name, (old, new) in reason.options.items()]
    return f"head trains another task: {', '.join(changes or reason.fields)}"


def _speedup(reason: reasons.ImplausibleSpeedup) -> str:
    most = percent(reason.max_speedup)
    return f"head saves {percent(reason.saved)} of the step time, and max_speedup is {most}"


def _diverged(reason: reasons.Diverged) -> str:
    if reason.label == "base":
        return f"base diverged on seed {reason.seed}, so there is nothing to compare head with"
    return f"head diverged on seed {reason.seed}, and base did not"


def _score_lost(reason: reasons.ScoreLost) -> str:
    lost = estimate(reason.lost.scaled(100), 2, "%")
    return f"{reason.measure} lost {lost}, limit {100 * reason.limit:g} % ({reason.lost.n} seeds)"


def _extra_steps(reason: reasons.ExtraSteps) -> str:
    extra = reason.extra
    low, high = (None if end is None else 1 + end for end in (extra.low, extra.high))
    change_text = percent_change(Estimate(1 + extra.value, low, high, extra.n))
    return f"steps to the target {change_text}, limit {100 * reason.limit:g} % ({extra.n} seeds)"


#: The text of each reason: with the reason's fields in braces, or what makes it of the reason.
_TEXTS: Mapping[type[Reason], str | Callable[[Any], str]] = {
    reasons.LimitNotShown: "the first pairs do not show that head is within the limit",
    reasons.ProvenWorse: "head is proven worse than base",
    reasons.NotDecided: "neither a loss nor being within the limit is proven",
    reasons.BeyondLimit: "probably worse: the whole interval is beyond the limit",
    reasons.PairsLost: "other work on the machine disturbed {lost} of {pairs} pairs",
    reasons.MachineChanged: ("the control computation shows that the machine was not equally fast for both"),
    reasons.ImplausibleSpeedup: _speedup,
    reasons.TooFewPairs: "{made} of at least {needed} pairs of about {pair_seconds:.0f} s",
    reasons.OtherPrecisions: "head runs in {head}, base in {base}",
    reasons.OtherData: _other_data,
    reasons.OtherLossCount: (
        "in {precision} a training step returns another number of losses in head than in base"
    ),
    reasons.LossDiffers: _loss_differs,
    reasons.ScoreDiffers: _score_differs,
    reasons.TaskChanged: _task_changed,
    reasons.LossesNotFinite: (
        "in {precision} no loss is finite from step {step} on, so nothing was compared"
    ),
    reasons.MemoryRanOut: "memory ran out in {precisions}, so losses in it were not compared",
    reasons.ValuesDiffer: lambda reason: difference_text(reason.difference),
    reasons.WorkNotCompared: lambda reason: comparison_text(reason.comparison),
    reasons.SharedCode: (
        "only the file of the step is taken from each checkout; what it imports is installed, and the "
        "same for base and head"
    ),
    reasons.TooFewEpochs: (
        "trainings of {epochs} epochs do not show the steps to a target: {needed} are needed"
    ),
    reasons.TooFewSeeds: "the budget was spent after {seeds} seeds, too few to compare",
    reasons.Diverged: _diverged,
    reasons.ScoreLost: _score_lost,
    reasons.ExtraSteps: _extra_steps,
    reasons.TargetMissed: "head did not reach the target on {missed} of {seeds} seeds",
    reasons.TargetAtFirstScore: (
        "{label} had reached the target by its first score on {reached} of {seeds} seeds"
    ),
    reasons.TargetRarelyReached: "base reached a target on {seeds} seeds only",
    reasons.Removed: "base's suite has this benchmark, head's suite does not",
    reasons.Replaced: "under this name base's suite has {base}, head's suite has {head}",
    reasons.Failed: "{label} failed: {message}",
    reasons.FailedBesideBase: "head failed next to base and did the same work alone: {message}",
    reasons.BudgetSpent: "the budget was spent before the first pair was made",
    reasons.ProcessTooLong: (
        "a process would take about {seconds:.0f} s for {turns} turns, more than {limit_seconds:.0f} s"
    ),
    reasons.NoWorkers: "{message}",
    reasons.NotComparable: "{message}",
    reasons.NewBenchmark: "new: base has no such step and cannot run head's ({message})",
    reasons.HarnessFault: "an error of the harness: {message}",
}


#: Verdicts other than PASS, in the order in which every report lists them, as words.
_NOT_PASSED: dict[Verdict, str] = {"FAIL": "failed", "INVALID": "invalid", "INCONCLUSIVE": "inconclusive"}
#: A log ratio of 0 and another value; see :data:`harness.timing.gate.metric_table.UNBOUNDED`.
_NEARLY_UNBOUNDED = 0.99 * math.log(UNBOUNDED)
#: How to read every change in a gate or a history.
CHANGE_LEGEND = (
    "Changes are of head relative to base: + is slower or larger, \N{MINUS SIGN} is faster or smaller. "
    "Brackets hold the 95 % confidence interval."
)


def change(metric: MetricName, ratio: Estimate | None) -> str:
    """``+7.1 % [5.9, 8.3]``: the ratio of a metric, head over base; ``from 0`` or ``to 0`` has none."""
    if ratio is None:
        return NOTHING
    if metrics()[metric].is_time:
        return time_ratio(ratio)
    if abs(math.log(ratio.value)) > _NEARLY_UNBOUNDED:
        return "from 0" if ratio.value > 1 else "to 0"
    return percent_change(ratio)


def limit(result: MetricResult) -> str:
    """``≤ 5 %``."""
    if result.limit < 0:
        return f"saves ≥ {-100 * result.limit:g} %"
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
    counts: list[str] = []
    for verdict, word in _NOT_PASSED.items():
        names = [one_line(benchmark.name) for benchmark in record.benchmarks if benchmark.verdict == verdict]
        of_all = "" if counts else f" of {counted(total, 'benchmark')}"
        counts += [f"{len(names)}{of_all} {word} ({', '.join(names)})"] if names else []
    if not counts:
        everything = (
            "the benchmark is within its" if total == 1 else f"all {total} benchmarks are within their"
        )
        return f"{everything} limits"
    return ", ".join(counts)


#: The verdict of an upgrade.
_UPGRADES: dict[Verdict, str] = {
    "PASS": "safe",
    "FAIL": "not safe",
    "INCONCLUSIVE": "undecided",
    "INVALID": "not measured",
}


def upgrade_headline(record: GateRecord) -> str:
    """``safe: the same results; step 6 % faster [5, 7], first step +40 %``, over all benchmarks."""
    verdicts = {benchmark.quality and benchmark.quality.verdict for benchmark in record.benchmarks}
    results = "results differ" if "FAIL" in verdicts else "results were not all compared"
    if verdicts == {"PASS"}:
        results = "the same results"
    ratios = {metric: _over_benchmarks(record, metric) for metric in metrics()}
    changes = [f"{metric} {change(metric, ratio)}" for metric, ratio in ratios.items() if ratio]
    return "; ".join(filter(None, [f"{_UPGRADES[record.verdict]}: {results}", ", ".join(changes)]))


def _over_benchmarks(record: GateRecord, metric: MetricName) -> Estimate | None:
    """The geometric mean of a metric's ratios, whose intervals are independent of each other."""
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
    """``step +7.1 % [5.9, 8.3], limit 5 % (8 pairs, p = 0.004): head is proven worse than base``."""
    evidence = pairs_text(result)
    if result.p_value is not None:
        evidence += f", p = {result.p_value:.2g}"
    figures = f"{result.metric} {change(result.metric, result.ratio)}, limit {100 * result.limit:g} %"
    uneven = f"; {UNEVEN}" if result.uneven else ""
    return ": ".join(filter(None, [f"{figures} ({evidence}{uneven})", reasons_text(result.reasons)]))


def quality_text(quality: QualityResult) -> str:
    """Why the quality has its verdict; of PASS what was compared."""
    if quality.reasons:
        return reasons_text(quality.reasons)
    return "losses of the first steps" if not quality.seeds else f"{quality.measure} over the same seeds"


def why(benchmark: BenchmarkRecord) -> str:
    """The reasons of a verdict other than PASS, without a full stop; those of a FAIL first."""
    parts = list(map(reason_text, benchmark.reasons))
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
    """Quality in a word or two."""
    quality = benchmark.quality
    return NOTHING if quality is None else _QUALITY_WORDS[quality.verdict][bool(quality.seeds)]


def not_passed(record: GateRecord) -> list[BenchmarkRecord]:
    """The benchmarks that need attention, failures first."""
    failed_first = list(_NOT_PASSED)
    others = [benchmark for benchmark in record.benchmarks if benchmark.verdict != "PASS"]
    return sorted(others, key=lambda benchmark: failed_first.index(benchmark.verdict))


# The circumstances of a gate: what was compared, where, and what a reader must know of base and head.

_COMMIT_DIGITS = 10


def circumstances(record: GateRecord) -> str:
    """What was compared, where and how reliably; then what a reader must know of base and head."""
    base, head = _sides(record)
    suite = f" (suite {record.suite})" if record.suite else ""
    compared = (
        f"Compared head {head} with base {base}{suite} on {record.machine.cpu} in "
        f"{record.seconds / 60:.1f} min."
    )
    false_alarms = f"At most {100 * record.false_alarms:g} % of gates of unchanged code fail."
    sentences = [compared, false_alarms, *cautions(record)]
    if record.unwatched:
        sentences.append(f"A benchmark that was removed would go unnoticed: {record.unwatched}.")
    return one_line(" ".join(sentences))


def cautions(record: GateRecord) -> list[str]:
    """What a reader must know of base and head, in sentences; most often none."""
    base, head = record.base, record.head
    sentences = []
    if _same(base, head):
        sentences.append("Base and head are the same, so every difference is chance.")
    if versions := next(filter(None, map(_versions, record.benchmarks)), ""):
        sentences.append(f"Base and head have different versions: {versions}.")
    judged = [
        *((each, each.quality) for each in record.benchmarks),
        *((each, each) for each in record.benchmarks),
    ]
    sentences += [
        f"{one_line(benchmark.name)}: {reason_text(reason)}."
        for benchmark, result in judged
        if result is not None and result.verdict == "PASS"
        for reason in result.reasons
    ]
    pairs = [pair for each in record.benchmarks for pair in (*each.look, *each.confirmation)]
    sentences += load_remarks([block for pair in pairs for block in pair.blocks])
    sentences += [f"{one_line(clause)}." for clause in dict.fromkeys([*base.cautions, *head.cautions])]
    sentences += filter(None, map(_batch_sizes, record.benchmarks))
    stand_ins = {
        f"{data.name} stands in for {data.stands_in_for}: {data.reason}."
        for data in (benchmark.dataset for benchmark in record.benchmarks)
        if data.stands_in_for
    }
    return [*sentences, *sorted(stand_ins)]


def _same(base: EnvironmentRecord, head: EnvironmentRecord) -> bool:
    if base.variables != head.variables or (base.commit and base.commit != head.commit):
        return False
    return base.python == head.python or bool(base.commit and base.commit == head.commit)


def _versions(benchmark: BenchmarkRecord) -> str:
    """``torch 2.12.0 in base, 2.13.0 in head``; empty where they agree or one is unknown."""
    frameworks = benchmark.quality.frameworks if benchmark.quality else []
    frameworks = [configuration.framework for configuration in benchmark.configurations] or frameworks
    if len(frameworks) < 2 or not all(frameworks):  # noqa: PLR2004  base and head
        return ""
    base, head = frameworks
    names = [name for name in {**base, **head} if base.get(name) != head.get(name) and name != PLUGIN]
    return ", ".join(
        f"{name} {base.get(name, 'none')} in base, {head.get(name, 'none')} in head"
        + (" (different builds)" if _build(base.get(name, "")) != _build(head.get(name, "")) else "")
        for name in names
    )


def _build(version: str) -> str:
    """``cpu`` of ``2.13.0+cpu``."""
    return version.partition("+")[2]


def _batch_sizes(benchmark: BenchmarkRecord) -> str:
    """Why the change is not that of the step times; empty where it is."""
    sizes = [configuration.batch_size for configuration in benchmark.configurations]
    if len(set(sizes)) < 2:  # noqa: PLR2004  base and head
        return ""
    return (
        f"{one_line(benchmark.name)}: the batch size is {sizes[0]} in base and {sizes[1]} in head, so the "
        "change is of the time per sample."
    )


def _sides(record: GateRecord) -> tuple[str, str]:
    """Base and head: the versions of an upgrade, commits, or interpreters."""
    if record.upgrade is not None:
        return ", ".join(record.upgrade.base), ", ".join(record.upgrade.head)
    base, head = (
        side.commit[:_COMMIT_DIGITS] if side.commit else side.python for side in (record.base, record.head)
    )
    return base, head


def details(record: GateRecord) -> dict[str, str]:
    """Base, head, the machine, the suite and the command, by name."""
    return filled_facts(
        base=_in_full(record.base),
        head=_in_full(record.head),
        machine=machine_text(record.machine),
        suite=record.suite,
        command=command_line(record),
        started=f"{started(record)}, {record.seconds / 60:.1f} min",
        status="" if record.status == "ok" else f"{record.status} {record.failure}",
    )


def _in_full(environment: EnvironmentRecord) -> str:
    harness = f"harness {environment.harness}" if environment.harness else ""
    commit = f"commit {environment.commit}" if environment.commit else ""
    variables = [f"{name}={value}" for name, value in environment.variables.items()]
    return ", ".join(filter(None, [environment.python, harness, commit, *variables]))


def conditions(benchmark: BenchmarkRecord) -> str:
    """The conditions that a benchmark ran under in base and head."""
    data = benchmark.dataset
    options = ", ".join(f"{name}={value}" for name, value in benchmark.options.items())
    frameworks = [
        f"{each.label}: {', '.join(f'{name} {version}' for name, version in each.framework.items())}"
        for each in benchmark.configurations
    ]
    ran = [f"{data.name} {(data.fingerprint or '')[:12]}".strip()] if data.name else []
    ran.append(counted(benchmark.threads, "thread"))
    for head in benchmark.configurations[1:]:
        ran.append(head.device)
        if not benchmark.is_step:
            ran += [head.configuration.precision, f"batch size {head.batch_size}"]
    parts = [f"{benchmark.name}: {', '.join(ran)}", options, *frameworks, f"{benchmark.seconds:.0f} s"]
    return one_line("; ".join(filter(None, parts)))


# The tables of a gate: a row per benchmark, a row per metric with its measurements, a row per seed.

TONES: dict[Verdict, Tone] = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "unsure", "INVALID": "unsure"}
_TITLE = "Measurements: medians over processes (a step of head: base times the change), change, evidence"
_MARKS: dict[Verdict, str] = {"INCONCLUSIVE": "?"}
#: Where there are no colours.
_SIGNS: dict[Verdict, str] = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔", "INVALID": "❌"}


def verdict_table(record: GateRecord) -> Table:
    """Each benchmark with its verdict, the change of each metric, and its quality.

    A limit that all benchmarks share is in the header of its column, else in each cell.
    """
    shared = {metric: _shared_limit(record.benchmarks, metric) for metric in metrics()}
    rows: list[Row] = []
    for each in record.benchmarks:
        changes = {
            f"{metric} ({text})" if text else metric: _change_cell(each, metric, with_limit=not text)
            for metric, text in shared.items()
        }
        tone: Tone = TONES[each.quality.verdict] if each.quality else "muted"
        verdict = Cell(each.verdict, TONES[each.verdict], sign=_SIGNS[each.verdict])
        quality = Cell(quality_word(each), tone)
        rows.append({"benchmark": one_line(each.name), "verdict": verdict, **changes, "quality": quality})
    return table_of(rows, "Verdict and change of each benchmark", legend=(CHANGE_LEGEND,), form="texts")


def _shared_limit(benchmarks: Sequence[BenchmarkRecord], metric: MetricName) -> str:
    """The limit that all benchmarks have for the metric; empty where they differ."""
    limits = {limit(each) for benchmark in benchmarks for each in benchmark.metrics if each.metric == metric}
    return limits.pop() if len(limits) == 1 else ""


def _change_cell(benchmark: BenchmarkRecord, metric: MetricName, *, with_limit: bool) -> Cell:
    """The change; with it a verdict other than PASS, which must not be shown by colour alone."""
    result = next((each for each in benchmark.metrics if each.metric == metric), None)
    if result is None:
        return Cell(NOTHING, "muted")
    parts = [change(metric, result.ratio)]
    if with_limit:
        parts.append(f"({limit(result)})")
    if result.verdict != "PASS":
        parts.append(_MARKS.get(result.verdict, result.verdict))
    return Cell(" ".join(parts), TONES[result.verdict], result.ratio.value if result.ratio else None)


def measurements_table(record: GateRecord) -> Table:
    """Each metric of each benchmark: the medians of base and head, the change, and its evidence."""
    rows = [
        {"benchmark": one_line(benchmark.name)}
        | (_measured(result) if isinstance(result, MetricResult) else _compared(result))
        for benchmark in record.benchmarks
        for result in benchmark.results
    ]
    return table_of(rows, _TITLE)


#: In the order of the columns.
_MEASURED = ("metric", "base", "head", "unit", "change", "limit", "pairs", "stage", "p", "verdict")


def _measured(result: MetricResult) -> dict[str, str]:
    scale, unit = metrics()[result.metric].scale, metrics()[result.metric].unit
    return {
        "metric": result.metric,
        "base": significant(result.base * scale),
        "head": significant(_head(result) * scale),
        "unit": unit,
        "change": change(result.metric, result.ratio),
        "limit": limit(result),
        "pairs": str(result.pairs),
        "stage": result.stage,
        "p": NOTHING if result.p_value is None else f"{result.p_value:.2g}",
        "verdict": result.verdict,
    }


def _head(result: MetricResult) -> float:
    """The median of head; of steps that of base times the change, which is taken turn by turn.

    Medians over processes have the machine's drift in them and may contradict the change.
    """
    if result.metric != "step" or result.ratio is None:
        return result.head
    return result.base * result.ratio.value


def _compared(quality: QualityResult) -> dict[str, str]:
    deviation = NOTHING if quality.worst is None else f"losses differ by {quality.worst:.1e}"
    deviation_only = {"metric": "quality", "unit": "", "change": deviation, "verdict": quality.verdict}
    return dict.fromkeys(_MEASURED, NOTHING) | deviation_only


def seeds_table(record: GateRecord) -> Table:
    """The scores of each seed where base and head were trained."""
    rows = [
        {
            "benchmark": one_line(benchmark.name),
            "score": benchmark.quality.measure,
            "seed": str(scores.seed),
            "base": significant(scores.base, 4),
            "head": significant(scores.head, 4),
            "steps to target, base": _steps(scores.base_steps_to_target),
            "steps to target, head": _steps(scores.head_steps_to_target),
        }
        for benchmark in record.benchmarks
        if benchmark.quality is not None
        for scores in benchmark.quality.seeds
    ]
    return table_of(rows, "Trained on the same seeds: validation score at the best epoch")


def _steps(steps: int | None) -> str:
    return "not reached" if steps is None else f"{steps:,}"


# The document.

_METHOD = """\
A pair is a fresh process of base and one of head that take turns in short blocks. It yields one ratio of \
head over base for each metric. A change is the mean ratio of the pairs, not the ratio of the medians next \
to it. 0.1 s is added to both first steps before they are divided, so that milliseconds do not count.
Stage look: a quick check of a few pairs of every benchmark; a metric that is clearly within its limit \
passes. Stage confirmation: more pairs for the rest, until each is decided. The test is valid at any number \
of pairs, so that going on and ending early cannot cause a false alarm.
PASS: within the limit, proven. FAIL: worse than base, proven by the signs of its pairs with Holm's rule \
over the suite, and not within the limit. INCONCLUSIVE: neither is proven; more time would decide. INVALID: \
the measurement cannot be trusted, or there is none.
Quality: same if the losses of the first steps agree in float64. A difference fails unless \
`max_accuracy_loss` allows it and trainings on the same seeds lose no more than that.""".splitlines()


def gate_document(record: GateRecord) -> Document:
    """The verdict, a row per benchmark, what to do about those that failed, charts and circumstances."""
    verdict = Span(record.verdict, tone=TONES[record.verdict], sign=_SIGNS[record.verdict])
    explanations = [_explanation(record, benchmark) for benchmark in not_passed(record)]
    next_steps = [Section("Reasons and next steps", [Items(explanations)], "explanations")]
    measurements = measurements_table(record)
    measured: list[Node] = [
        Figures(partial(_figures, record)),
        Folded("Measurements", [measurements], "measurements", len(measurements.rows)),
        Only(("page",), [seeds_table(record)]),
    ]
    nodes: list[Node] = [
        Only(("page",), next_steps),
        Section("Benchmarks", [verdict_table(record)], "benchmarks"),
        Only(("terminal", "verbose", "markdown"), next_steps),
        Only(("page", "markdown"), measured),
    ]
    for benchmark in record.benchmarks:
        name = Span(one_line(benchmark.name))
        nodes += profile_sections(benchmark.profiles, ["base", "head"], (name, " in a process of each"))
    summary = circumstances(record)
    show = show_command(record)
    conditions_of_all = [conditions(benchmark) for benchmark in record.benchmarks]
    method: list[Node] = [Items(_METHOD), Facts(details(record)), Items(conditions_of_all), show]
    nodes += [
        Only(("terminal", "verbose"), [Paragraph(summary)]),
        Only(("markdown",), [Folded("Circumstances", [Paragraph(summary), show])]),
        Only(("page",), [Section("Method and circumstances", method, "method")]),
    ]
    title, lines = f"{record.verdict}: gate {record.id}", [headline(record)]
    if record.upgrade is not None:
        title = "Upgrade from {} to {}".format(*_sides(record))
        lines.insert(0, upgrade_headline(record))
    return Document("gate", title, nodes, [(verdict, f": {lines[0]}"), *lines[1:]], [summary])


def _explanation(record: GateRecord, benchmark: BenchmarkRecord) -> Item:
    """Why a benchmark did not pass, and what to do."""
    from harness.timing.gate.advice import advice

    text, command = advice(record, benchmark)
    name = Span(one_line(benchmark.name))
    reason = (name, f": {benchmark.verdict}: {why(benchmark)}.")
    return Item(reason, text, command, TONES[benchmark.verdict])


def _figures(record: GateRecord) -> list[Figure]:
    from harness.timing.gate.charts import gate_figures

    return gate_figures(record)


def row(record: GateRecord) -> Listed:
    """Return the row of a gate in a list of results."""
    tasks = dict.fromkeys(benchmark.task for benchmark in record.benchmarks)
    backends = dict.fromkeys(
        f"{benchmark.backend}:{benchmark.mode}".rstrip(":") for benchmark in record.benchmarks
    )
    return Listed(", ".join(tasks), ", ".join(backends), record.verdict)
