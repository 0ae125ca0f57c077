"""The answer that the page starts with: a line and a chart of relative step times for each group of runs."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from harness.analysis.comparison import Comparison, PairComparison
from harness.analysis.findings import GroupFindings
from harness.report.charts import Colours
from harness.report.numbers import NOTHING, estimate, score_digits, seeds, time_ratio
from harness.report.relative_times import RelativeTimes, relative_times
from harness.report.table import Cell

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
    """A group of runs in one line and a chart. ``rows`` is empty where nothing is compared."""

    title: str
    target: str
    line: str
    basis: str
    measure: str
    ticks: list[Tick]
    rows: list[AnswerRow]


def answer(group: GroupFindings, target: str, colours: Colours) -> Answer:
    """The answer of a group; ``target`` is the id of the section with the details."""
    comparison = group.comparison
    times = relative_times(comparison)
    return Answer(
        comparison.group.title,
        target,
        answer_line(comparison),
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
        ratio = time_ratio(row.ratio) if row.quality else "reference"
        rows.append(AnswerRow(row.configuration, colours[row.configuration], mark, ratio, quality))
    return rows


def answer_line(comparison: Comparison) -> str:
    """One line: ``jax:jit is the fastest; accuracy is equal``, or the figures of a lone configuration."""
    if comparison.pairs:
        return f"{_speed(comparison.pairs)}; {_quality(comparison)}."
    if len(comparison.summaries) > 1:
        return "The work is not certified, so the configurations are not compared."
    (summary,) = comparison.summaries
    unit = comparison.measure.unit and "%"
    quality = estimate(summary.quality, score_digits(comparison.measure), unit)
    step = estimate(summary.step_seconds and summary.step_seconds.scaled(1e3), None, "ms")
    return f"{summary.name} alone: test {comparison.measure.name} {quality}, step time {step}."


def _speed(pairs: Sequence[PairComparison]) -> str:
    reference = pairs[0].reference.name
    same = [pair.other.name for pair in pairs if pair.speed_verdict == "same"]
    undecided = [pair.other.name for pair in pairs if pair.speed_verdict == "undecided"]
    if all(pair.speed_verdict == "not measured" for pair in pairs):
        return "step times are not comparable"
    if undecided:
        return f"{_listed([reference, *same, *undecided])} are the fastest, with no certain difference"
    if same:
        return f"{_listed([reference, *same])} are equally fast"
    return f"{reference} is the fastest"


def _quality(comparison: Comparison) -> str:
    by_verdict = defaultdict(list)
    for pair in comparison.pairs:
        by_verdict[pair.quality_verdict].append(pair.other.name)
    name = comparison.measure.name
    if set(by_verdict) <= {"equal"}:
        return f"{name} is equal"
    if set(by_verdict) <= {"undecided"}:
        return f"whether {name} is equal is undecided"
    parts = [f"{verdict} for {_listed(names)}" for verdict, names in by_verdict.items()]
    return f"{name} is {', '.join(parts)}"


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _basis(comparison: Comparison) -> str:
    """``5 seeds, certified, step times of runs``."""
    counts = sorted({len(summary.configuration.runs) for summary in comparison.summaries})
    number = seeds(counts[-1]) if len(counts) == 1 else f"{counts[0]} to {seeds(counts[-1])}"
    certified = "certified" if comparison.group.conditions.certified else "not certified"
    duels = sum(pair.duel is not None for pair in comparison.pairs)
    source = {0: "runs", len(comparison.pairs): "duels"}.get(duels, "duels and runs")
    return f"{number}, {certified}, step times of {source}"
