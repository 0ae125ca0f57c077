"""The answer of the page: the line of each comparison, and the axis that ratios are drawn on."""

import itertools

import pytest
from support.made_runs import made_record

from harness.analysis.findings import find
from harness.analysis.run_curves import Run
from harness.report.document import Paragraph, RangeChart
from harness.report.runs.overview import card
from harness.report.runs.tables import RelativeTimes

COLOURS = {"jax:eager": "#000001", "torch:eager": "#000002", "keras:eager": "#000003"}


def _answer(*configurations, seeds=3):
    """The answer for (name, step time, accuracy) of each configuration."""
    records = [
        made_record(name, seed, step=step, accuracy=accuracy)
        for name, step, accuracy in configurations
        for seed in range(seeds)
    ]
    (group,) = find(map(Run.of, records)).groups
    return card(group, "comparison-1", COLOURS).nodes


@pytest.mark.parametrize(
    ("configurations", "line"),
    [
        (
            [("jax", 0.01, 0.5), ("torch", 0.02, 0.5)],
            "Both compute the same: test accuracy 50.0 % in each, identical curves. jax:eager is fastest.",
        ),
        (
            [("jax", 0.01, 0.5), ("torch", 0.02, 0.4)],
            "jax:eager is fastest. Test accuracy: worse for torch:eager.",
        ),
        (
            [("jax", 0.01, 0.5), ("torch", 0.02, 0.5), ("keras", 0.03, 0.6)],
            "jax:eager is fastest. Test accuracy: equal for torch:eager, better for keras:eager.",
        ),
    ],
)
def test_the_line_states_speed_and_quality(configurations, line):
    assert Paragraph(line) in _answer(*configurations)


def test_one_seed_decides_nothing():
    made = _answer(("jax", 0.01, 0.5), ("torch", 0.02, 0.5), seeds=1)
    assert made[0].text.endswith("Fastest: undecided between jax:eager and torch:eager (1 run each).")
    assert made[1] == Paragraph("1 seed, certified, step times from runs", "small")
    assert not isinstance(made[-1], RangeChart)  # a ratio of single runs is no answer


def test_a_lone_configuration_has_a_line_and_no_chart():
    made = _answer(("torch", 0.02, 0.5))
    assert "torch:eager" in made[0].text
    assert made[1:] == [Paragraph("3 seeds, certified", "small")]


def test_rows_hold_the_printed_ratio_and_the_place_on_the_axis():
    made = _answer(("jax", 0.01, 0.5), ("torch", 0.0107, 0.5))
    reference, other = made[-1].rows
    assert (reference.text, other.text) == ("reference", "+7.0 % [7.0, 7.0]")
    assert (reference.colour, other.colour) == ("#000001", "#000002")
    assert 0 < reference.mark.at < other.mark.at < 100
    assert [tick.at for tick in made[-1].ticks if tick.one] == [reference.mark.at]


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
