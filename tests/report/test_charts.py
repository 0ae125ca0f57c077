"""Axes of charts show possible values only, and their times are those of the tables."""

import numpy as np
import pytest
from support.made_runs import made_record, made_runs, made_setting

from harness.analysis.comparison import compare
from harness.analysis.findings import find
from harness.analysis.grouping import group_runs
from harness.machine.usage import Interference
from harness.report.charts.runs import phase_bars, step_distribution, time_against_quality
from harness.report.runs.overview import setting_chart
from harness.runs.record import Block, Phases

COLOURS = {"jax:eager": "#000001", "torch:eager": "#000002"}
#: Widely scattered: on a linear scale the interval of the training time would reach far below 0.
_SECONDS, _ACCURACIES = [1.0, 2.0, 30.0], [0.95, 0.999, 1.0]


def _comparison(**changes):
    records = [
        made_record(
            name,
            seed,
            accuracy=_ACCURACIES[seed],
            phases=Phases(import_seconds=1.0, first_step_seconds=0.5, training_seconds=_SECONDS[seed]),
            **changes,
        )
        for name in ("jax", "torch")
        for seed in range(3)
    ]
    (group,) = group_runs(made_runs(*records)).groups
    return compare(group)


def _domains(chart):
    encodings = chart["layer"][0]["encoding"]
    return {axis: encodings[axis]["scale"]["domain"] for axis in "xy"}


def test_no_axis_reaches_impossible_values():
    domains = _domains(time_against_quality(_comparison(), COLOURS))
    assert domains["x"][0] >= 0
    assert domains["x"][1] > 30
    assert 90 > domains["y"][0] >= 0
    assert domains["y"][1] == 100


def test_the_median_step_is_that_of_the_table():
    """A slow run has more blocks, and must not weigh more for it."""
    few = [Block(1, 1, 64, 0.5), *[Block(1, 10, 64, 0.1)] * 8]
    many = [Block(1, 1, 64, 0.5), *[Block(1, 10, 64, 0.4)] * 80]
    records = [made_record("jax", seed, blocks=many if seed else few) for seed in range(2)]
    (group,) = group_runs(made_runs(*records)).groups
    comparison = compare(group)
    (row,) = step_distribution(comparison, COLOURS)["data"]["values"]
    assert row["median"] == pytest.approx(1e3 * comparison.summaries[0].step_seconds.value)
    assert row["median"] == pytest.approx(1e3 * np.sqrt(0.01 * 0.04))


def test_axes_of_times_of_disturbed_runs_are_marked():
    busy = Interference(cpus=2, others=1.7, stolen=0.0)
    for marked, comparison in ((False, _comparison()), (True, _comparison(interference=busy))):
        charts = (
            time_against_quality(comparison, COLOURS),
            step_distribution(comparison, COLOURS),
            phase_bars(comparison),
        )
        titles = [chart["layer"][0]["encoding"]["x"]["title"] for chart in charts]
        assert [title.endswith("(busy)") for title in titles] == [marked] * 3


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_the_axis_of_settings_ends_where_scores_do(accuracy):
    records = [
        made_setting(optimizer=name, accuracy=accuracy, held_out=(2.0, 1.0), train=(2.0, 1.0))
        for name in ("adam", "sgd")
    ]
    (group,) = find(made_runs(*records)).groups
    names = [summary.name for summary in group.comparison.summaries]
    ticks = setting_chart(group.comparison, dict.fromkeys(names, "#000001")).ticks
    assert {float(tick.label) for tick in ticks} <= set(np.arange(0, 100.5, 0.5))
