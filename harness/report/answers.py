"""The answer that the page starts with: a line and a chart of relative step times for each group of runs."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from harness.analysis.comparison import Comparison
from harness.analysis.findings import GroupFindings
from harness.report.certificate_words import certificate_label
from harness.report.chart_parts import Colours
from harness.report.doubt_words import UNRELIABLE
from harness.report.next_duel import next_duel
from harness.report.numbers import NOTHING, seeds, time_ratio
from harness.report.phrases import listed
from harness.report.relative_times import RelativeTimes, relative_times
from harness.report.table import Cell
from harness.report.words import fastest, headline

#: Signs and words of quality verdicts: colour alone carries nothing.
_QUALITY = {
    "equal": Cell("= equal", "good"),
    "better": Cell("▲ better", "good"),
    "worse": Cell("▼ worse", "bad"),
    "undecided": Cell("? undecided", "unsure"),
}


class Tick(NamedTuple):
    """A mark of the axis, in per cent of its length; ``one`` marks the ratio 1."""

    at: float
    label: str
    one: bool


class Mark(NamedTuple):
    """A ratio and its interval, in per cent of the axis."""

    at: float
    low: float | None
    high: float | None


class AnswerRow(NamedTuple):
    """A configuration: where its step time stands on the axis, the ratio as text, and its quality."""

    name: str
    colour: str
    mark: Mark | None
    ratio: str
    quality: Cell


class Answer(NamedTuple):
    """A group of runs in one line and a chart. ``rows`` is empty where no times are compared.

    ``command`` is that of the duel that would decide which is faster, if that is open.
    """

    title: str
    compared: bool
    target: str
    line: str
    command: str | None
    basis: str
    measure: str
    ticks: list[Tick]
    rows: list[AnswerRow]


def answer(group: GroupFindings, target: str, colours: Colours, results: Path | None = None) -> Answer:
    """The answer of a group; ``target`` is the id of the section with the details."""
    comparison = group.comparison
    times = relative_times(comparison)
    return Answer(
        comparison.group.title,
        bool(comparison.pairs),
        target,
        answer_line(comparison),
        next_duel(comparison, results),
        _basis(comparison),
        comparison.measure.name,
        [Tick(_percent(times.place(tick)), label, tick == 1) for tick, label in times.ticks.items()]
        if times
        else [],
        _rows(times, colours) if times else [],
    )


def _percent(place: float) -> float:
    return round(100 * place, 2)


def _rows(times: RelativeTimes, colours: Colours) -> list[AnswerRow]:
    rows = []
    for row in times.rows:
        mark = None
        if row.ratio is not None:
            ends = (
                None if end is None else _percent(times.place(end)) for end in (row.ratio.low, row.ratio.high)
            )
            mark = Mark(_percent(times.place(row.ratio.value)), *ends)
        quality = _QUALITY[row.quality] if row.quality else Cell(NOTHING, "muted")
        ratio = (time_ratio(row.ratio) if row.ratio else UNRELIABLE) if row.quality else "reference"
        rows.append(AnswerRow(row.configuration, colours[row.configuration], mark, ratio, quality))
    return rows


def answer_line(comparison: Comparison) -> str:
    """``jax:jit is fastest. Test accuracy: equal.`` for compared configurations, else the headline."""
    if not comparison.pairs:
        return headline(comparison)
    return f"{fastest(comparison)} {_quality(comparison)}"


def _quality(comparison: Comparison) -> str:
    """The verdicts, each with its configurations unless all are equal or undecided."""
    by_verdict = defaultdict(list)
    for pair in comparison.pairs:
        by_verdict[pair.quality_verdict].append(pair.other.name)
    symmetric = set(by_verdict) in ({"equal"}, {"undecided"})
    verdicts = [f"{verdict} for {listed(names)}" for verdict, names in by_verdict.items()]
    text = ", ".join(by_verdict if symmetric else verdicts)
    return f"Test {comparison.measure.name}: {text}."


def _basis(comparison: Comparison) -> str:
    """``5 seeds, certified, step times from runs``."""
    counts = sorted({len(summary.configuration.runs) for summary in comparison.summaries})
    number = seeds(counts[-1]) if len(counts) == 1 else f"{counts[0]} to {seeds(counts[-1])}"
    runs = (run for summary in comparison.summaries for run in summary.configuration.runs)
    labels = {certificate_label(run.record.certificate) for run in runs}
    certified = max(labels, key=("certified", "certified without dropout", "not certified").index)
    by_duel = {pair.duel is not None for pair in comparison.pairs}
    source = "step times from " + " and ".join(
        name for name, of_duel in (("duels", True), ("runs", False)) if of_duel in by_duel
    )
    return ", ".join([number, certified, *[source] * bool(by_duel)])
