"""The end of ``harness run``: a line for each configuration, and remarks."""

import re
from pathlib import Path

import pytest
from support.ended_runs import ALONE, FOLDER
from support.made_records import made_record, seeds_of
from support.outline import outline
from support.records import make_record

from harness.core.documents.document import Table
from harness.core.documents.numbers import FEW_SEEDS_LEGEND
from harness.core.documents.render.terminal import terminal_text
from harness.core.machine.usage import Interference
from harness.core.runs.frames import runs_frame
from harness.core.runs.page import record_document, row
from harness.core.runs.record import LostAttempt
from harness.core.runs.summary import summary_document


@pytest.mark.parametrize("name", ALONE)
def test_the_summary(name, snapshot):
    *others, last = ALONE[name]
    text = terminal_text(summary_document(ALONE[name], FOLDER), 200)
    ending = f"{'Records' if others else 'Record'}: results/runs/{last.id}.json"
    assert ending in text
    assert text.replace(last.id, "ID") == snapshot


def _table(records):
    (table,) = [node for node in summary_document(records, FOLDER).nodes if isinstance(node, Table)]
    return table


def _row(records):
    (row,) = _table(records).rows
    return {name: cell.replace("\xa0", " ") for name, cell in zip(_table(records).headers, row, strict=True)}


def test_seeds_of_one_configuration_are_one_row_of_means_with_possible_intervals():
    """Student's interval of these accuracies would end above 100 %."""
    row = _row(ALONE["seeds"])
    mean, low, high = (float(each) for each in re.findall(r"[\d.]+", row["test accuracy"]))
    assert (row["seeds"], mean) == ("4", 98.5)
    assert 94 < low < 98.5 < high < 100
    assert row["step time"].startswith("11.4 [9.")  # the geometric mean of 10 to 13 ms
    one_failed = _row(ALONE["seeds, one failed"])
    assert (one_failed["seeds"], one_failed["status"]) == ("3", "3 ok, 1 failed")


def test_fewer_than_three_seeds_have_no_interval_and_the_reason_is_stated_once():
    row, legend = _row(ALONE["seeds, two"]), _table(ALONE["seeds, two"]).legend
    assert "[" not in "".join(row.values())
    assert legend.count(FEW_SEEDS_LEGEND) == 1
    assert FEW_SEEDS_LEGEND not in _table(ALONE["seeds"]).legend


def test_runs_that_differ_in_more_than_the_seed_are_rows_of_their_own():
    assert [row[0] for row in _table(ALONE["seeds, two tasks"]).rows] == ["cnn", "forecast"]
    precisions = [
        made_record(seed=seed, precision=name) for name in ("float32", "float64") for seed in (0, 1)
    ]
    assert len(_table(precisions).rows) == 2


def test_commands_that_are_suggested_name_a_results_folder_other_than_the_default():
    text = terminal_text(summary_document(seeds_of(seeds=range(2)), Path("my results") / "runs"), 200)
    option = "--results 'my results'"
    assert text.endswith(f"harness show last {option}, harness compare {option}")


def test_nodes_that_were_lost_before_are_listed():
    attempt = LostAttempt("beta (3f2a1c09d4e7)", "it no longer answers", 3)
    assert "3f2a1c09d4e7" in outline(record_document(make_record(lost_attempts=[attempt])))


BUSY = made_record(interference=Interference(cpus=2, others=1.7, seconds=60.0))
CALM = made_record(interference=Interference(cpus=2, others=0.01, seconds=60.0))


def _summary(record):
    return outline(summary_document([record], FOLDER)).replace("\N{NO-BREAK SPACE}", " ")


_FORMS = {
    "list results": (lambda record: row(record).outcome.replace("\xa0", " "), 1),
    "show": (lambda record: outline(record_document(record)), 6),
    "run": (_summary, 3),  # two times and the legend
}


@pytest.mark.parametrize("form", _FORMS)
def test_every_time_is_marked(form):
    text, count = _FORMS[form]
    assert text(BUSY).count("(busy)") == count
    assert "(busy)" not in text(CALM)


def test_tables_have_a_column():
    assert runs_frame([BUSY, CALM, made_record()])["disturbed"].tolist() == [True, False, None]
