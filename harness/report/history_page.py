"""A history as one HTML file that opens offline: what changed, where, and how it looks."""

from harness.report.history_charts import history_figures
from harness.report.history_words import (
    ToldHistory,
    gap_sentence,
    headline,
    in_order,
    sentence,
    steps_of,
    total,
)
from harness.report.html import render

#: Charts on a page; those that changed come first.
MOST_CHARTS = 60


def history_page(told: ToldHistory) -> str:
    """The page; all text from the records is escaped.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    series = in_order(told.history.series)
    figures = history_figures(series)
    return render(
        "history.html.j2",
        figures[:MOST_CHARTS],
        headline=headline(told),
        changed=[(sentence(one), "FAIL" if total(one) > 0 else "PASS") for one in series if steps_of(one)],
        same=[(sentence(one), "") for one in series if not steps_of(one)],
        gaps=[(gap_sentence(gap), "INCONCLUSIVE") for gap in told.gaps],
        left_out=told.history.left_out,
        charts=figures[:MOST_CHARTS],
        hidden=max(0, len(figures) - MOST_CHARTS),
        machines=sorted({gate.machine.cpu for gate in told.gates}),
    )
