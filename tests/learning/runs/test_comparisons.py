"""Comparisons as sentences, tables and frames."""

import msgspec
from support.made_comparisons import BUSY, COMPARISONS, SETTINGS, eighteen_times, setting_records
from support.made_runs import findings_of, only_group

from harness.core.documents.document import text_of
from harness.core.documents.numbers import BUSY_LEGEND
from harness.core.runs.record import Making
from harness.learning.runs.report import Report
from harness.learning.runs.sentences import basis_text, headline, remarks
from harness.learning.runs.tables import comparison_table, group_table

#: Comparisons whose sentences differ in kind; verdicts of all are in test_comparison.py.
_SAID = (
    "three",
    "not certified",
    "one seed",
    "duel: undecided",
    "busy",
    "settings: four",
    "settings: undecided",
)


def test_sentences(snapshot):
    found = {name: COMPARISONS[name]() for name in _SAID}
    assert {
        name: [headline(each), basis_text(each), *remarks(each)] for name, each in found.items()
    } == snapshot


def test_times_of_disturbed_runs_are_marked_in_the_table():
    table = comparison_table([type("Group", (), {"comparison": eighteen_times(interference=BUSY)})()])
    fast, slow = ([text_of(cell) for cell in row] for row in table.rows)
    assert not any("(busy)" in cell for cell in fast)
    assert [cell.endswith("(busy)") for cell in slow[3:5]] == [True, True]
    assert (slow[2].endswith("unreliable"), table.rows[1][2].tone) == (True, "unsure")
    assert BUSY_LEGEND in table.legend


# Settings.


def test_the_table_of_settings(snapshot):
    """In the order of validation; the seeds that a verdict needs have a column where one is undecided."""
    table = group_table(only_group(*SETTINGS["undecided"]))
    rows = [" | ".join(map(text_of, row)) for row in (table.headers, *table.rows)]
    assert [table.title, *rows, *table.legend] == snapshot


def test_times_that_nobody_judges_have_no_column():
    beside_others = [
        msgspec.structs.replace(record, making=Making("forked", 2))
        for record in setting_records("adam", "sgd")
    ]
    table = group_table(only_group(*beside_others))
    assert any("epochs to validation" in header for header in table.headers)
    assert not any(header.endswith(("(s)", "(ms)")) for header in table.headers)
    assert not any("Training" in text for text in table.legend)


def test_frames_of_settings_have_a_column_for_each_axis():
    report = Report(findings_of(*setting_records("adam", "sgd")))
    assert list(report.configurations["optimizer"]) == ["adam", "sgd"]
    assert list(report.configurations["epochs_to_target"].round(6)) == [2.0, 3.0]
    assert list(report.pairs["difference"].round(2)) == [-0.1]
