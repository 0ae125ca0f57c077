"""The tables of a gate, and its document.

Nothing here imports NumPy, so that CI formats do not need it either.
"""

from collections.abc import Sequence
from functools import partial

from harness.core.documents.circumstances import show_command
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
from harness.core.documents.numbers import NOTHING, significant
from harness.timing.engine.page import profile_sections
from harness.timing.gate.circumstances import circumstances, conditions, details, sides_of
from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.record import BenchmarkRecord, GateRecord, MetricResult, QualityResult, Verdict
from harness.timing.gate.words import (
    CHANGE_LEGEND,
    change,
    headline,
    limit,
    not_passed,
    quality_word,
    upgrade_headline,
    why,
)

TONES: dict[Verdict, Tone] = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "unsure", "INVALID": "unsure"}
_TITLE = "Measurements: medians over processes (a step of head: base times the change), change, evidence"
_MARKS: dict[Verdict, str] = {"INCONCLUSIVE": "?"}
#: Where there are no colours.
_SIGNS: dict[Verdict, str] = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔", "INVALID": "❌"}


def verdict_table(record: GateRecord) -> Table:
    """Return each benchmark with its verdict, the change of each metric, and its quality.

    A limit that all benchmarks share is in the header of its column, else in each cell.
    """
    shared = {metric: _shared_limit(record.benchmarks, metric) for metric in metrics()}
    columns = [*dict.fromkeys("values" if each.is_step else "quality" for each in record.benchmarks)]
    rows: list[Row] = []
    for each in record.benchmarks:
        changes = {
            f"{metric} ({text})" if text else metric: _change_cell(each, metric, with_limit=not text)
            for metric, text in shared.items()
        }
        tone: Tone = TONES[each.quality.verdict] if each.quality else "muted"
        verdict = Cell(each.verdict, TONES[each.verdict], sign=_SIGNS[each.verdict])
        word = Cell(quality_word(each), tone)
        quality = {"quality": NOTHING if each.is_step else word, "values": word if each.is_step else NOTHING}
        used = {name: quality[name] for name in columns}
        rows.append({"benchmark": one_line(each.name), "verdict": verdict, **changes, **used})
    return table_of(rows, "Verdict and change of each benchmark", legend=(CHANGE_LEGEND,), form="texts")


def _shared_limit(benchmarks: Sequence[BenchmarkRecord], metric: MetricName) -> str:
    """Return the limit that all benchmarks have for the metric; empty where they differ."""
    limits = {limit(each) for benchmark in benchmarks for each in benchmark.metrics if each.metric == metric}
    return limits.pop() if len(limits) == 1 else ""


def _change_cell(benchmark: BenchmarkRecord, metric: MetricName, *, with_limit: bool) -> Cell:
    """Return the change, with a verdict other than PASS, which must not be shown by colour alone."""
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
    """Return each metric of each benchmark: the medians of base and head, the change, and its evidence."""
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
        "head": significant(result.shown_head * scale),
        "unit": unit,
        "change": change(result.metric, result.ratio),
        "limit": limit(result),
        "pairs": str(result.pairs),
        "stage": result.stage,
        "p": NOTHING if result.p_value is None else f"{result.p_value:.2g}",
        "verdict": result.verdict,
    }


def _compared(quality: QualityResult) -> dict[str, str]:
    what, name = ("losses", "quality") if quality.values is None else ("values", "values")
    deviation = NOTHING if quality.worst is None else f"{what} differ by {quality.worst:.1e}"
    deviation_only = {"metric": name, "unit": "", "change": deviation, "verdict": quality.verdict}
    return dict.fromkeys(_MEASURED, NOTHING) | deviation_only


def seeds_table(record: GateRecord) -> Table:
    """Return the scores of each seed where base and head were trained."""
    rows = [
        {
            "benchmark": one_line(benchmark.name),
            "score": benchmark.quality.measure,
            "seed": str(scores.seed),
            "base": significant(scores.base, 4),
            "head": significant(scores.head, 4),
        }
        for benchmark in record.benchmarks
        if benchmark.quality is not None
        for scores in benchmark.quality.seeds
    ]
    return table_of(rows, "Trained on the same seeds: validation score at the best epoch")


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
    """Return the verdict, a row per benchmark, next steps for failures, charts and circumstances."""
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
        of = (name, ", in processes of base and head in alternation")
        nodes += profile_sections(benchmark.profiles, ["base", "head"], of, [_step_increase(benchmark)])
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
        title = "Upgrade from {} to {}".format(*sides_of(record))
        lines.insert(0, upgrade_headline(record))
    return Document("gate", title, nodes, [(verdict, f": {lines[0]}"), *lines[1:]], [summary])


def _step_increase(benchmark: BenchmarkRecord) -> float | None:
    """Return the seconds by which the step of head is longer than that of base; None if it has no ratio."""
    for result in benchmark.metrics:
        if result.metric == "step" and result.ratio is not None:
            return result.base * (result.ratio.value - 1)
    return None


def _explanation(record: GateRecord, benchmark: BenchmarkRecord) -> Item:
    """Say why a benchmark did not pass, and name the next step."""
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
