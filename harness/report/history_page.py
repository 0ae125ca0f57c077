"""A history as one HTML file that opens offline: what changed and where, as a table and as charts."""

from harness.report.history_charts import history_figures
from harness.report.history_tables import series_table
from harness.report.history_words import (
    HistoryFindings,
    gap_sentence,
    headline,
    in_order,
    left_out_sentence,
    steps_of,
)
from harness.report.html import render

#: Charts on a page; series that changed come first.
MOST_CHARTS = 60


def history_page(findings: HistoryFindings) -> str:
    """The page; all text from the records is escaped.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    series = in_order(findings.history.series)
    figures = history_figures(series)
    return render(
        "history.html.j2",
        figures[:MOST_CHARTS],
        headline=headline(findings),
        changed=series_table([each for each in series if steps_of(each)]),
        same=series_table([each for each in series if not steps_of(each)]),
        gaps=[gap_sentence(gap) for gap in findings.gaps],
        left_out=list(map(left_out_sentence, findings.history.left_out)),
        charts=figures[:MOST_CHARTS],
        hidden=max(0, len(figures) - MOST_CHARTS),
        machines=sorted({gate.machine.cpu for gate in findings.gates}),
    )
