"""Settings compared: their order, paired tests, one target, and how the result is stated and drawn."""

import pytest
from support.made_runs import made_runs, made_setting

from harness.analysis.findings import find
from harness.report.document import Paragraph, text_of
from harness.report.runs.frames import Report
from harness.report.runs.overview import card
from harness.report.runs.sentences import headline, remarks
from harness.report.runs.tables import group_table

#: Test accuracy, and validation losses after each epoch, of which accuracies are 1 - loss / 4.
CURVES = {
    "adam": (0.70, (2.0, 1.2, 1.0)),
    "rmsprop": (0.702, (2.0, 1.4, 1.1)),
    "sgd": (0.60, (3.0, 2.0, 1.6)),
    "gd": (0.30, (3.5, 3.4, 3.1)),
}
NOISE = {0: 0.0, 1: 0.0004, 2: -0.0004}


def findings_of(*names, seeds=range(3), **changes):
    records = [
        made_setting(
            seed,
            optimizer=name,
            accuracy=accuracy + seed / 50 + NOISE.get(seed, 0) * len(name),
            held_out=losses,
            train=losses,
            **changes,
        )
        for name in names
        for accuracy, losses in [CURVES[name]]
        for seed in seeds
    ]
    return find(made_runs(*records))


def comparison_of(*names, **changes):
    (group,) = findings_of(*names, **changes).groups
    return group.comparison


def test_the_best_by_validation_is_the_reference():
    """The test score of rmsprop is higher: it must not be used to choose."""
    comparison = comparison_of(*CURVES)
    assert [summary.name for summary in comparison.summaries] == ["adam", "rmsprop", "sgd", "gd"]
    assert [pair.other.name for pair in comparison.pairs] == ["rmsprop", "sgd", "gd"]
    assert [pair.quality_verdict for pair in comparison.pairs] == ["equal", "worse", "worse"]
    assert {pair.ratio for pair in comparison.pairs} == {None}


def test_tests_are_paired_over_the_same_seeds_and_hold_jointly():
    """Scores move by two points from seed to seed, differences by a tenth."""
    two, four = comparison_of("adam", "sgd"), comparison_of(*CURVES)
    alone, joint = (
        next(pair.quality.difference for pair in each.pairs if pair.other.name == "sgd")
        for each in (two, four)
    )
    assert alone.value == joint.value == pytest.approx(-10, abs=0.2)
    assert alone.high - alone.low < joint.high - joint.low < 1.5
    assert two.summaries[0].quality.high - two.summaries[0].quality.low > 8
    other = comparison_of("adam", "sgd", seeds=[5])
    assert other.pairs[0].quality.difference.n == 1


def test_the_target_is_one_that_half_of_the_settings_reach():
    comparison = comparison_of(*CURVES)
    assert comparison.target == 72  # the best of rmsprop is 72.5 %
    reached = {summary.name: summary.to_target for summary in comparison.summaries}
    assert reached["adam"].epochs.value == pytest.approx(3)
    assert reached["rmsprop"].epochs.value == pytest.approx(3)
    assert [(reached[name].reached, reached[name].of) for name in ("sgd", "gd")] == [(0, 3), (0, 3)]
    assert comparison_of("adam", "gd").target == 22  # both of two


def test_the_headline_states_best_quality_and_target():
    line = headline(comparison_of("adam", "sgd", "gd"))
    assert line.startswith("adam has the best validation accuracy")
    assert "worse for sgd (−10.0 [−10.1, −9.9] points) and gd (−40.0 [−40.3, −39.7] points)" in line
    assert line.endswith("2 epochs with adam and 3 with sgd; not reached with gd.")


def test_without_scores_no_setting_is_the_best():
    """As after --no-eval."""
    unscored = {"test_at_last": None, "test_at_best": None, "best_epoch": None, "epochs": []}
    (group,) = find(
        made_runs(
            *(made_setting(seed, optimizer=name, **unscored) for name in ("adam", "sgd") for seed in range(3))
        )
    ).groups
    line = "No score was recorded, so no setting is the best. Test accuracy is not compared"
    assert headline(group.comparison).startswith(line)
    assert not list(remarks(group.comparison))
    assert group_table(group).title == "Settings: mean [95 % interval from 3 seeds on]"
    shown = card(group, "comparison-1", dict.fromkeys(["adam", "sgd"], "#000001"))
    assert shown.nodes[0] == Paragraph(f"{line}.")


def test_the_headline_names_few_settings():
    records = [
        made_setting(seed, learning_rate=rate, held_out=(2.0, 1.0))
        for rate in range(1, 8)
        for seed in range(3)
    ]
    (group,) = find(made_runs(*records)).groups
    assert headline(group.comparison).endswith("2 with learning_rate=4 and 3 more.")


def test_one_seed_makes_no_ranks():
    line = headline(comparison_of("adam", "sgd", seeds=[0]))
    assert "Test accuracy relative to adam on the one seed run: −10.0 points for sgd." in line


def test_the_table_has_a_row_for_each_value():
    (group,) = findings_of(*CURVES).groups
    table = group_table(group)
    assert table.headers[0] == "optimizer"
    assert "epochs to validation ≥ 72 %" in table.headers
    rows = [[text_of(cell) for cell in row] for row in table.rows]
    assert [row[0] for row in rows] == ["adam", "rmsprop", "sgd", "gd"]
    assert rows[0][4:6] == ["reference", "reference"]
    assert rows[3][5:8] == ["worse", "–", "not reached"]
    assert "Step time" not in table.legend


def test_the_table_shows_the_score_that_orders_it():
    (group,) = findings_of(*CURVES).groups
    table = group_table(group)
    assert table.title.startswith("Settings, best validation accuracy first")
    column = [row[table.headers.index("ordered by validation accuracy (%)")] for row in table.rows]
    assert [text.partition(" ")[0] for text in column] == ["75.0", "72.5", "60.0", "22.5"]


def test_undecided_settings_state_the_seeds_that_a_verdict_needs():
    """The differences of sgd are -1 point on average, with a standard deviation of about two."""
    moved = {"adam": (0, 0, 0), "sgd": (-0.03, -0.01, 0.01), "gd": (-0.4, -0.4, -0.41)}
    records = [
        made_setting(seed, optimizer=name, accuracy=0.6 + by[seed], held_out=(losses,), train=(losses,))
        for (name, by), losses in zip(moved.items(), (1.0, 1.1, 1.2), strict=True)
        for seed in range(3)
    ]
    (group,) = find(made_runs(*records)).groups
    undecided, worse = group.comparison.pairs
    needed = undecided.quality.seeds_needed
    assert (undecided.quality_verdict, worse.quality_verdict, needed > 3) == ("undecided", "worse", True)
    table = group_table(group)
    column = [row[table.headers.index("seeds needed to decide")] for row in table.rows]
    assert column == ["–", f"about {needed}", "–"]
    assert f"undecided for sgd (about {needed} seeds are needed to decide)" in headline(group.comparison)


def test_decided_settings_have_no_column_of_seeds():
    (group,) = findings_of("adam", "sgd").groups
    assert "seeds needed to decide" not in group_table(group).headers


def test_remarks_state_the_method_and_a_missing_certificate():
    _, intervals = remarks(comparison_of("adam", "sgd"))
    assert intervals.startswith("Intervals of test scores are over seeds alone")
    _, caution, _ = remarks(comparison_of("adam", "sgd", certificate=None))
    assert caution.startswith("Some runs have no certificate: the comparison holds within torch")


def test_the_answer_draws_scores_on_one_axis():
    (group,) = findings_of(*CURVES).groups
    line, basis, chart = card(group, "comparison-1", dict.fromkeys(CURVES, "#000001")).nodes
    assert line == Paragraph(
        "adam has the best validation accuracy after the last epoch (75 %). "
        "Test accuracy: equal for rmsprop, worse for sgd and gd."
    )
    assert basis == Paragraph("3 seeds, certified", "small")
    assert (chart.axis, chart.column) == ("test accuracy (%)", "test accuracy (%)")
    assert [row.quality.text for row in chart.rows] == ["reference", "= equal", "▼ worse", "▼ worse"]
    places = [row.mark.at for row in chart.rows]
    assert places[1] > places[0] > places[2] > places[3] > 0
    assert 2 <= len(chart.ticks) <= 5


def test_frames_have_a_column_for_each_axis():
    report = Report(findings_of("adam", "sgd"))
    assert list(report.configurations["optimizer"]) == ["adam", "sgd"]
    assert list(report.configurations["epochs_to_target"].round(6)) == [2.0, 3.0]
    assert list(report.pairs["difference"].round(2)) == [-0.1]


def test_without_validation_scores_the_test_score_orders():
    records = [
        made_setting(seed, optimizer=name, accuracy=accuracy + seed / 100, epochs=[])
        for name, accuracy in {"adam": 0.5, "sgd": 0.6}.items()
        for seed in range(3)
    ]
    (group,) = find(made_runs(*records)).groups
    assert [summary.name for summary in group.comparison.summaries] == ["sgd", "adam"]
    assert headline(group.comparison).startswith(
        "sgd has the best test accuracy; no validation score was recorded."
    )
    table = group_table(group)
    assert table.title.startswith("Settings, best test accuracy first")
    assert not any("validation" in header for header in table.headers)
    assert next(iter(remarks(group.comparison))).startswith("The order is that of test accuracy.")
