"""Comparisons as sentences, tables, cards and frames."""

import itertools

import pytest
from support.made_comparisons import BUSY, COMPARISONS, SETTINGS, eighteen_times, setting_records
from support.made_records import backends
from support.made_runs import findings_of, only_group

from harness.core.documents.document import Paragraph, RangeChart, shown, text_of
from harness.core.documents.numbers import BUSY_LEGEND
from harness.learning.runs.overview import answer_line, card
from harness.learning.runs.report import Report
from harness.learning.runs.sentences import headline, remarks
from harness.learning.runs.tables import RelativeTimes, comparison_table, group_table

COLOURS = {f"{name}:eager": f"#00000{number}" for number, name in enumerate(("jax", "torch", "keras"), 1)}


@pytest.mark.parametrize("name", COMPARISONS)
def test_sentences(name, snapshot):
    comparison = COMPARISONS[name]()
    assert [headline(comparison), answer_line(comparison), *remarks(comparison)] == snapshot


def _card(steps, seeds):
    records = backends({name: {"step": step} for name, step in steps.items()}, range(seeds))
    return shown(card(only_group(*records), "comparison-1", COLOURS).nodes, "page")


def test_a_card_has_the_answer_its_basis_and_a_chart():
    _, basis, chart = _card({"jax": 0.01, "torch": 0.0107}, 3)
    assert basis == Paragraph("3 seeds, certified, step times from runs", "small")
    reference, other = chart.rows
    assert (reference.text, other.text) == ("reference", "+7.0 % [7.0, 7.0]")
    assert (reference.colour, other.colour) == ("#000001", "#000002")
    assert 0 < reference.mark.at < other.mark.at < 100
    assert [tick.at for tick in chart.ticks if tick.one] == [reference.mark.at]


@pytest.mark.parametrize(("steps", "seeds"), [({"jax": 0.01, "torch": 0.02}, 1), ({"torch": 0.02}, 3)])
def test_a_card_has_no_chart_without_a_reliable_ratio(steps, seeds):
    assert not any(isinstance(node, RangeChart) for node in _card(steps, seeds))


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.99, 1.11, ["0 %", "+5 %", "+10 %"]),
        (0.95, 1.6, ["0 %", "+20 %", "+50 %"]),
        (0.9, 7.0, ["1×", "2×", "5×"]),
        (0.5, 300.0, ["1×", "10×", "100×"]),
    ],
)
def test_ticks_are_round_and_far_enough_apart(low, high, labels):
    times = RelativeTimes([], low, high)
    assert set(labels) <= set(times.ticks.values())
    places = [times.place(tick) for tick in times.ticks]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
    assert all(after - before > 0.25 for before, after in itertools.pairwise(places))


def test_times_of_disturbed_runs_are_marked_in_the_table():
    table = comparison_table([type("Group", (), {"comparison": eighteen_times(interference=BUSY)})()])
    fast, slow = ([text_of(cell) for cell in row] for row in table.rows)
    assert not any("(busy)" in cell for cell in fast)
    assert [cell.endswith("(busy)") for cell in slow[3:5]] == [True, True]
    assert (slow[2].endswith("unreliable"), table.rows[1][2].tone) == (True, "unsure")
    assert BUSY_LEGEND in table.legend


# Settings.


@pytest.mark.parametrize("name", ["four", "undecided", "no validation"])
def test_the_table_of_settings(name, snapshot):
    """In the order of validation; the seeds that a verdict needs have a column where one is undecided."""
    table = group_table(only_group(*SETTINGS[name]))
    rows = [" | ".join(map(text_of, row)) for row in (table.headers, *table.rows)]
    assert [table.title, *rows, *table.legend] == snapshot


def test_the_card_of_settings_draws_scores_on_one_axis():
    colours = dict.fromkeys(["adam", "rmsprop", "sgd", "gd"], "#000001")
    _, basis, chart = shown(card(only_group(*SETTINGS["four"]), "comparison-1", colours).nodes, "page")
    assert basis == Paragraph("3 seeds, certified", "small")
    assert (chart.axis, chart.column) == ("test accuracy (%)", "test accuracy (%)")
    assert [row.quality.text for row in chart.rows] == ["reference", "= equal", "▼ worse", "▼ worse"]
    places = [row.mark.at for row in chart.rows]
    assert places[1] > places[0] > places[2] > places[3] > 0
    assert 2 <= len(chart.ticks) <= 5
    unscored = card(only_group(*SETTINGS["no scores"]), "comparison-1", colours)
    assert not any(isinstance(node, RangeChart) for node in unscored.nodes)


def test_frames_of_settings_have_a_column_for_each_axis():
    report = Report(findings_of(*setting_records("adam", "sgd")))
    assert list(report.configurations["optimizer"]) == ["adam", "sgd"]
    assert list(report.configurations["epochs_to_target"].round(6)) == [2.0, 3.0]
    assert list(report.pairs["difference"].round(2)) == [-0.1]
