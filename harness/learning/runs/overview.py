"""The overview that a page starts with: for each group of runs a card with a line and a chart."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.core.certify.page import IN_FLOAT32, certificate_label
from harness.core.documents.document import (
    Card,
    Cell,
    Command,
    Mark,
    Node,
    Paragraph,
    RangeChart,
    RangeRow,
    Tick,
)
from harness.core.documents.numbers import (
    NOTHING,
    estimate,
    listed,
    score_digits,
    seeds_each,
    significant,
    time_ratio,
)
from harness.core.stats.estimate import Estimate
from harness.learning.runs.comparison import Comparison
from harness.learning.runs.findings import GroupFindings
from harness.learning.runs.next_duel import DECIDES, next_duel
from harness.learning.runs.quality_text import best_setting
from harness.learning.runs.sentences import UNRELIABLE, fastest, headline, same_sentence
from harness.learning.runs.tables import relative_times, score_header

#: Signs and words of quality verdicts: colour alone carries nothing.
QUALITY_CELLS = {
    "equal": Cell("= equal", "good"),
    "better": Cell("▲ better", "good"),
    "worse": Cell("▼ worse", "bad"),
    "undecided": Cell("? undecided", "unsure"),
}


def card(group: GroupFindings, target: str, colours: Mapping[str, str], results: Path | None = None) -> Card:
    """Return the answer of a group as a card; ``target`` is the id of the section with the details."""
    comparison = group.comparison
    chart = (setting_chart if comparison.group.is_of_settings else times_chart)(comparison, colours)
    nodes: list[Node] = [
        Paragraph(answer_line(comparison)),
        Paragraph(_basis(comparison), "small"),
        Command(next_duel(comparison, results), DECIDES),
        *([chart] if chart else []),
    ]
    return Card(comparison.group.title, nodes, target)


#: Room beyond the outermost intervals, as a share of what they span.
_MARGIN = 0.05
_MOST_TICKS = 4
_FACTORS = (1, 2, 5, 10)


def setting_chart(comparison: Comparison, colours: Mapping[str, str]) -> RangeChart | None:
    """Draw the test scores; None where nothing is compared or there are no scores."""
    known = [summary.quality for summary in comparison.summaries if summary.quality]
    if not comparison.pairs or not known:
        return None
    ends = [end for each in known for end in (each.value, each.low, each.high) if end is not None]
    room = _MARGIN * (max(ends) - min(ends)) or 1.0
    upper = comparison.measure.upper
    low = max(0.0, min(ends) - room)  # no impossible scores
    high = max(ends) + room if upper is None else min(max(ends) + room, upper)

    def place(value: float) -> float:
        return (value - low) / (high - low)

    rows = []
    for summary in comparison.summaries:
        pair, score = comparison.pair_of(summary), summary.quality
        quality = QUALITY_CELLS[pair.quality_verdict] if pair else Cell("reference", "muted")
        text = estimate(score, score_digits(comparison.measure))
        rows.append(RangeRow(summary.name, colours[summary.name], _mark(score, place), text, quality))
    ticks = [Tick(_percent(place(value)), significant(value)) for value in _round_values(low, high)]
    header = score_header(comparison.measure)
    return RangeChart(header, header, comparison.measure.name, ticks, rows)


def _round_values(low: float, high: float) -> list[float]:
    """Return round values from ``low`` to ``high``, at most four."""
    unit = 10.0 ** math.floor(math.log10((high - low) / _MOST_TICKS))
    step = next(unit * factor for factor in _FACTORS if (high - low) / (unit * factor) <= _MOST_TICKS)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def times_chart(comparison: Comparison, colours: Mapping[str, str]) -> RangeChart | None:
    """Draw step times relative to the reference."""
    times = relative_times(comparison)
    if times is None:
        return None
    rows = []
    for row in times.rows:
        quality = QUALITY_CELLS[row.quality] if row.quality else Cell(NOTHING, "muted")
        text = (time_ratio(row.ratio) if row.ratio else UNRELIABLE) if row.quality else "reference"
        mark = _mark(row.ratio, times.place)
        rows.append(RangeRow(row.configuration, colours[row.configuration], mark, text, quality))
    ticks = [Tick(_percent(times.place(tick)), label, tick == 1) for tick, label in times.ticks.items()]
    axis = f"relative to {times.rows[0].configuration} (log scale)"
    return RangeChart(axis, "step time", comparison.measure.name, ticks, rows)


def _mark(value: Estimate | None, place: Callable[[float], float]) -> Mark | None:
    """Draw an estimate on an axis; ``place`` returns the position of a value, from 0 to 1."""
    if value is None:
        return None
    low, high = (None if end is None else _percent(place(end)) for end in (value.low, value.high))
    return Mark(_percent(place(value.value)), low, high)


def _percent(place: float) -> float:
    """Write a position from 0 to 1 on an axis, in per cent with two digits."""
    return round(100 * place, 2)


def answer_line(comparison: Comparison) -> str:
    """Write ``jax:jit is fastest. Test accuracy: equal.`` for compared configurations, else the headline."""
    if not comparison.pairs:
        return headline(comparison)
    if same := same_sentence(comparison):
        return f"{same} {fastest(comparison)}"
    first = best_setting(comparison) if comparison.group.is_of_settings else fastest(comparison)
    return f"{first} {_quality(comparison)}"


def _quality(comparison: Comparison) -> str:
    """State the verdicts, each with its configurations unless all are equal or undecided."""
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
    """Write ``5 seeds, certified, step times from runs``."""
    number = seeds_each(len(summary.configuration.runs) for summary in comparison.summaries)
    runs = (run for summary in comparison.summaries for run in summary.configuration.runs)
    labels = {certificate_label(run.record.certificate) for run in runs}
    certified = max(labels, key=("certified", "certified without dropout", IN_FLOAT32, "not certified").index)
    timed = [] if comparison.group.is_of_settings else comparison.pairs
    sources = sorted({"runs" if pair.duel is None else "duels" for pair in timed})
    return ", ".join([number, certified, *[f"step times from {' and '.join(sources)}"] * bool(sources)])
