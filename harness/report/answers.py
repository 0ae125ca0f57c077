"""The answer that the page starts with: a line and a chart of relative step times for each group of runs."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from harness.analysis.comparison import Comparison
from harness.analysis.findings import GroupFindings
from harness.report.answer_parts import QUALITY_CELLS, AnswerChart, AnswerRow, Mark, Tick, percent_of_axis
from harness.report.certificate_words import certificate_label
from harness.report.chart_parts import Colours
from harness.report.doubt_words import UNRELIABLE
from harness.report.next_duel import next_duel
from harness.report.numbers import NOTHING, seeds, time_ratio
from harness.report.phrases import listed
from harness.report.relative_times import RelativeTimes, relative_times
from harness.report.setting_chart import setting_chart
from harness.report.setting_words import best_setting
from harness.report.table import Cell
from harness.report.words import fastest, headline


class Answer(NamedTuple):
    """A group of runs in one line and a chart; None where there is nothing to draw.

    ``command`` is that of the duel that would decide which is faster, if that is open.
    """

    title: str
    compared: bool
    target: str
    line: str
    command: str | None
    basis: str
    measure: str
    chart: AnswerChart | None


def answer(group: GroupFindings, target: str, colours: Colours, results: Path | None = None) -> Answer:
    """The answer of a group; ``target`` is the id of the section with the details."""
    comparison = group.comparison
    draw = setting_chart if comparison.group.is_of_settings else _times_chart
    return Answer(
        comparison.group.title,
        bool(comparison.pairs),
        target,
        answer_line(comparison),
        next_duel(comparison, results),
        _basis(comparison),
        comparison.measure.name,
        draw(comparison, colours),
    )


def _times_chart(comparison: Comparison, colours: Colours) -> AnswerChart | None:
    """Step times relative to the reference."""
    times = relative_times(comparison)
    if times is None:
        return None
    ticks = [
        Tick(percent_of_axis(times.place(tick)), label, tick == 1) for tick, label in times.ticks.items()
    ]
    axis = f"relative to {times.rows[0].configuration} (log scale)"
    return AnswerChart(axis, "step time", ticks, _rows(times, colours))


def _rows(times: RelativeTimes, colours: Colours) -> list[AnswerRow]:
    rows = []
    for row in times.rows:
        mark = None
        if row.ratio is not None:
            low, high = (
                None if end is None else percent_of_axis(times.place(end))
                for end in (row.ratio.low, row.ratio.high)
            )
            mark = Mark(percent_of_axis(times.place(row.ratio.value)), low, high)
        quality = QUALITY_CELLS[row.quality] if row.quality else Cell(NOTHING, "muted")
        ratio = (time_ratio(row.ratio) if row.ratio else UNRELIABLE) if row.quality else "reference"
        rows.append(AnswerRow(row.configuration, colours[row.configuration], mark, ratio, quality))
    return rows


def answer_line(comparison: Comparison) -> str:
    """``jax:jit is fastest. Test accuracy: equal.`` for compared configurations, else the headline."""
    if not comparison.pairs:
        return headline(comparison)
    first = best_setting(comparison) if comparison.group.is_of_settings else fastest(comparison)
    return f"{first} {_quality(comparison)}"


def _quality(comparison: Comparison) -> str:
    """The verdicts, each with its configurations unless all are equal or undecided."""
    if all(pair.quality.difference is None for pair in comparison.pairs):
        return f"Test {comparison.measure.name} is not compared."
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
    timed = [] if comparison.group.is_of_settings else comparison.pairs
    by_duel = {pair.duel is not None for pair in timed}
    source = "step times from " + " and ".join(
        name for name, of_duel in (("duels", True), ("runs", False)) if of_duel in by_duel
    )
    return ", ".join([number, certified, *[source] * bool(by_duel)])
