"""The table of a history: a row per series, with every change of its level."""

from collections.abc import Sequence

from harness.gate.history import MetricHistory
from harness.report.escaping import one_line
from harness.report.gate_words import CHANGE_LEGEND
from harness.report.history_words import changes, name_of, steps_of, total, total_text
from harness.report.table import Cell, Table, Tone


def series_table(series: Sequence[MetricHistory]) -> Table:
    """Each series: its total change since the base, and the changes of level in between."""
    headers = ["series", "in total", "since", "gates", "changes"]
    rows: list[list[Cell | str]] = [
        [
            name_of(each),
            Cell(total_text(each), _tone(each)),
            one_line(each.start),
            str(len(each.points)),
            ",\n".join(changes(each)),
        ]
        for each in series
    ]
    return Table(headers, rows, "Change of each series since its base", CHANGE_LEGEND)


def _tone(series: MetricHistory) -> Tone:
    if not steps_of(series):
        return "muted"
    return "bad" if total(series) > 0 else "good"
