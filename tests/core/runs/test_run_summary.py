"""The end of ``harness run``: a line for each run, a comparison of configurations, and remarks."""

from pathlib import Path

import pytest
from support.ended_runs import ALONE, FOLDER
from support.made_records import made_record, seeds_of
from support.outline import outline
from support.records import make_record

from harness.core.documents.document import Document
from harness.core.documents.render.terminal import terminal_text
from harness.core.machine.usage import Interference
from harness.core.runs.frames import runs_frame
from harness.core.runs.page import record_document, row, runs_table
from harness.core.runs.record import LostAttempt
from harness.core.runs.summary import summary_document


@pytest.mark.parametrize("name", ALONE)
def test_the_summary(name, snapshot):
    *others, last = ALONE[name]
    text = terminal_text(summary_document(ALONE[name], FOLDER), 200)
    ending = f"{'Records' if others else 'Record'}: results/runs/{last.id}.json"
    assert ending in text
    assert text.replace(last.id, "ID") == snapshot


def test_commands_that_are_suggested_name_a_results_folder_other_than_the_default():
    text = terminal_text(summary_document(seeds_of(seeds=range(2)), Path("my results") / "runs"), 200)
    option = "--results 'my results'"
    assert text.endswith(f"harness show last {option}, harness compare {option}")


def test_nodes_that_were_lost_before_are_listed():
    attempt = LostAttempt("beta (3f2a1c09d4e7)", "it no longer answers", 3)
    assert "3f2a1c09d4e7" in outline(record_document(make_record(lost_attempts=[attempt])))


BUSY = made_record(interference=Interference(cpus=2, others=1.7, stolen=0.0, seconds=60.0))
CALM = made_record(interference=Interference(cpus=2, others=0.01, stolen=0.0, seconds=60.0))


def _summary(record):
    return outline(summary_document([record], FOLDER)).replace("\N{NO-BREAK SPACE}", " ")


_FORMS = {
    "list results": (lambda record: row(record).outcome.replace("\xa0", " "), 1),
    "show": (lambda record: outline(Document("run", "Runs", [runs_table([record])])), 6),
    "run": (_summary, 3),  # two times and the legend
}


@pytest.mark.parametrize("form", _FORMS)
def test_every_time_is_marked(form):
    text, count = _FORMS[form]
    assert text(BUSY).count("(busy)") == count
    assert "(busy)" not in text(CALM)


def test_tables_have_a_column():
    assert runs_frame([BUSY, CALM, made_record()])["disturbed"].tolist() == [True, False, None]
