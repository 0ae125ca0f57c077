"""Parts of the chart of an answer: ticks of its axis, and a row for each configuration."""

from typing import NamedTuple

from harness.report.table import Cell

#: Signs and words of quality verdicts: colour alone carries nothing.
QUALITY_CELLS = {
    "equal": Cell("= equal", "good"),
    "better": Cell("▲ better", "good"),
    "worse": Cell("▼ worse", "bad"),
    "undecided": Cell("? undecided", "unsure"),
}


class Tick(NamedTuple):
    """A mark of the axis, in per cent of its length; ``one`` marks the level of the reference."""

    at: float
    label: str
    one: bool


class Mark(NamedTuple):
    """A value and its interval, in per cent of the axis."""

    at: float
    low: float | None
    high: float | None


class AnswerRow(NamedTuple):
    """A configuration: where its step time or score stands on the axis, that as text, and its quality."""

    name: str
    colour: str
    mark: Mark | None
    text: str
    quality: Cell


class AnswerChart(NamedTuple):
    """Rows on an axis. ``axis`` says what it shows, ``column`` heads the texts of the rows."""

    axis: str
    column: str
    ticks: list[Tick]
    rows: list[AnswerRow]


def percent_of_axis(place: float) -> float:
    """A place from 0 to 1 on an axis, in per cent with two digits."""
    return round(100 * place, 2)
