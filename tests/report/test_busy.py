"""Times of a run during which others used the machine are marked wherever they are printed or written."""

from pathlib import Path

import pytest
from support.made_runs import made_record, made_runs
from support.outline import outline

from harness.machine.usage import Interference
from harness.report.document import Document
from harness.report.render.terminal import terminal_text
from harness.report.results import VIEWS
from harness.report.runs.record import runs_table, summary_document
from harness.report.runs.tables import runs_list
from harness.runs.frames import runs_frame
from harness.runs.store import RUNS

BUSY = made_record(interference=Interference(cpus=2, others=1.7, stolen=0.0, seconds=60.0))
CALM = made_record(interference=Interference(cpus=2, others=0.01, stolen=0.0, seconds=60.0))


def _summary(record):
    return terminal_text(summary_document([record], Path("results/runs")), 200).replace(
        "\N{NO-BREAK SPACE}", " "
    )


_FORMS = {
    "list results": (lambda record: VIEWS[RUNS.name].row(record).outcome.replace("\xa0", " "), 1),
    "show": (lambda record: outline(Document("run", "Runs", [runs_table([record])])), 6),
    "run": (_summary, 3),  # two times and the legend
    "page": (lambda record: "\n".join(map(str, runs_list(made_runs(record)).rows[0])), 2),
}


@pytest.mark.parametrize("form", _FORMS)
def test_every_time_is_marked(form):
    text, count = _FORMS[form]
    assert text(BUSY).count("(busy)") == count
    assert "(busy)" not in text(CALM)


def test_tables_have_a_column():
    assert runs_frame([BUSY, CALM, made_record()])["disturbed"].tolist() == [True, False, None]
