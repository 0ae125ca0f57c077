"""Charts: possible values only, the numbers of the tables, seeds and bands, marks, panels and colours."""

import dataclasses
import itertools
import math
import re

import pytest
from support.charts import valid
from support.made_comparisons import BUSY
from support.made_duels import stored_duel
from support.made_gates import fixed_gates, mixed_gate
from support.made_records import seeds_of
from support.made_runs import compared, only_group

from harness.core.documents.charts import (
    GREY,
    PALETTE,
    by_name,
    configuration_colours,
    layer,
    layered,
    named_rows,
    scaled,
    sized,
    svg,
)
from harness.core.documents.document import Figure
from harness.core.runs.record import Phases
from harness.learning.runs.charts import time_against_quality
from harness.learning.runs.curve_charts import (
    coinciding,
    gap_curves,
    learning_curves,
    loss_curves,
    loss_lines,
)
from harness.timing.duel.charts import duel_figures
from harness.timing.gate.charts import gate_figures
from harness.timing.history.findings import find_history
from harness.timing.history.page import series_figure

COLOURS = {"jax:eager": "#000001", "torch:eager": "#000002"}
#: Widely scattered: on a linear scale the interval of the training time would reach far below 0.
_SECONDS, _ACCURACIES = [1.0, 2.0, 30.0], [0.95, 0.999, 1.0]


def _comparison(**changes):
    def phases(seed):
        return Phases(import_seconds=1.0, first_step_seconds=0.5, training_seconds=_SECONDS[seed])

    changes |= {"accuracy": lambda seed: _ACCURACIES[seed], "phases": phases}
    return compared(*seeds_of("jax", **changes), *seeds_of("torch", **changes))


def _rows(chart):
    return chart["data"]["values"]


def test_axes_of_times_of_disturbed_runs_are_marked():
    for marked, comparison in ((False, _comparison()), (True, _comparison(interference=BUSY))):
        chart = time_against_quality(comparison, COLOURS)
        assert chart["layer"][0]["encoding"]["x"]["title"].endswith("(busy)") == marked


# Curves over epochs.


def _curves(*records):
    return only_group(*records).overfittings


def _seeds(count, name="torch", shift=0.0):
    """Curves that overfit from epoch 3; the validation loss is lowest after epoch 2."""

    def held_out(seed):
        return [loss + shift + (0.2 + shift) * seed for loss in (2.0, 1.0, 1.5, 2.0)]

    return seeds_of(name, range(count), train=(2.0, 1.0, 0.5, 0.25), held_out=held_out)


def _of_five(count, shift=0.0):
    """Five configurations, their curves this much apart."""
    records = (_seeds(count, f"own{number}", shift=shift * number) for number in range(5))
    return _curves(*itertools.chain(*records))


@pytest.mark.parametrize(("seeds", "area", "lines"), [(1, 0, 1), (2, 0, 2), (3, 1, 2)])
def test_a_band_needs_three_seeds_and_each_seed_is_a_line(seeds, area, lines):
    chart = valid(loss_curves(_curves(*_seeds(seeds)), configuration_colours(["torch:eager"])))
    kinds = [layer["mark"]["type"] for layer in chart["layer"]]
    assert (kinds.count("area"), kinds.count("line")) == (area, lines)


@pytest.mark.parametrize("chart_of", [loss_curves, learning_curves, gap_curves])
def test_more_than_four_configurations_have_a_panel_each(chart_of):
    curves, labels = _of_five(3, shift=0.01), [f"own{number}:eager" for number in range(5)]
    assert "layer" in valid(chart_of(curves[:4], configuration_colours(labels)))
    chart = valid(chart_of(curves, configuration_colours(labels)))
    assert chart["facet"]["sort"] == labels
    assert {row["configuration"] for row in _rows(chart)} == set(labels)
    layers = chart["spec"]["layer"]
    parts = {layer["transform"][0]["filter"]["equal"] for layer in layers}
    assert {row["part"] for row in _rows(chart)} == parts
    assert all("data" not in layer for layer in layers)
    assert {layer["encoding"]["color"]["legend"] for layer in layers} == {None}


@pytest.mark.parametrize(("width", "columns"), [(480, 3), (340, 2), (1200, 4)])
def test_panels_share_the_width(width, columns):
    names = [f"own{number}" for number in range(5)]
    chart = sized(loss_curves(_of_five(1), configuration_colours(names)), width)
    assert chart["columns"] == columns
    assert columns * (chart["spec"]["width"] + chart["spacing"]) <= width
    assert "width" not in chart


#: Each pair of names differs where a narrow place ends.
LONG_NAMES = [start + end for start in ("an_optimizer_with_a_name_", "W" * 40, "学" * 30) for end in "12"]


def _texts(drawn):
    """The texts of a drawing without line ends: lines of one text follow one another."""
    return "".join(re.findall(r">([^<>]+)<", drawn))


def _named_curves(names):
    one, *_ = _of_five(1)
    return [
        dataclasses.replace(one, configuration=dataclasses.replace(one.configuration, name=name))
        for name in names
    ]


def _in_panels(names):
    return loss_curves(_named_curves(names), configuration_colours(names))


def _in_a_legend(names):
    rows = [{"name": name, "value": place} for place, name in enumerate(names)]
    colour = scaled("name:N", configuration_colours(names), legend={"columns": 1})
    return layered(rows, layer("point", x="value:Q", color=colour))


def _on_an_axis(names):
    rows = [{"name": name, "value": place} for place, name in enumerate(names)]
    return named_rows(rows, "name", layer("point", x="value:Q", y=by_name("name")))


@pytest.mark.parametrize("chart_of", [_in_panels, _in_a_legend, _on_an_axis])
def test_names_are_broken_into_lines_and_never_cut(chart_of):
    drawn = svg(Figure("chart", "", valid(chart_of(LONG_NAMES))), 480)
    assert "…" not in drawn
    assert [name for name in LONG_NAMES if name not in _texts(drawn)] == []
    assert max(map(len, re.findall(r">([^<>]+)<", drawn))) <= 20
    assert float(re.search(r'width="([\d.]+)"', drawn)[1]) < 650  # with labels beside the plot


def test_long_names_do_not_widen_their_panels():
    names = [f"adam{number} learning_rate=0.0001 batch_size=128" for number in range(5)]
    named = [
        dataclasses.replace(each, configuration=dataclasses.replace(each.configuration, name=name))
        for each, name in zip(_of_five(1), names, strict=True)
    ]
    drawn = svg(Figure("loss", "", loss_curves(named, configuration_colours(names))), 480)
    assert float(re.search(r'width="([\d.]+)"', drawn)[1]) < 500
    assert all(part in drawn for part in (">adam0<", ">learning_rate=0.0001<", ">batch_size=128<"))


def test_accuracies_stay_between_0_and_100_per_cent():
    noisy = seeds_of(
        train=lambda seed: (0.01, 0.3 * seed, 0.01), held_out=lambda seed: (0.01, 1.8 * seed, 0.02)
    )
    chart = learning_curves(_curves(*noisy), configuration_colours(["torch:eager"]))
    ends = [row[end] for row in _rows(chart) for end in ("low", "high")]
    assert min(ends) >= 0
    assert max(ends) <= 100


def test_coinciding_curves_are_drawn_wider():
    curves = _curves(*_seeds(3, "jax"), *_seeds(3, "torch"), *_seeds(3, "keras", shift=0.5))
    assert coinciding(loss_lines(curves)) == [["jax:eager", "torch:eager"]]
    chart = loss_curves(curves, configuration_colours(["jax:eager", "torch:eager", "keras:eager"]))
    widths = {row["configuration"]: row["width"] for row in _rows(chart)}
    assert widths == {"jax:eager": 5, "torch:eager": 2, "keras:eager": 2}


def test_a_configuration_keeps_its_colour_on_every_page():
    shipped = [f"torch:{mode}" for mode in ("eager", "compile")]
    shipped += ["keras:fit", "keras:xla", "keras-torch:fit", "keras-jax:fit", "jax:jit"]
    alone = {name: configuration_colours([name])[name] for name in shipped}
    assert len(set(alone.values())) == len(PALETTE)
    for some in itertools.combinations(shipped, 3):
        assert configuration_colours(some) == {name: alone[name] for name in some}
    assert GREY not in PALETTE  # legends of dashes are grey
    assert configuration_colours(["jax:jit (jax 0.10)"]) == {"jax:jit (jax 0.10)": alone["jax:jit"]}


# Pairs of duels and gates.


def test_the_charts_of_a_duel_show_the_numbers_of_the_record():
    record = stored_duel()
    figures = {figure.name: figure for figure in duel_figures(record)}
    rows = figures["pairs"].chart["data"]["values"]
    changes = [row["change"] for row in rows if "change" in row]
    assert len(changes) == record.results[0].pairs
    centre = math.exp(sum(math.log1p(change / 100) for change in changes) / len(changes))
    assert centre == pytest.approx(record.results[0].ratio.value, abs=2e-3)
    (ratio,) = [row["ratio"] for row in rows if "ratio" in row]
    assert ratio == pytest.approx(100 * (record.results[0].ratio.value - 1), abs=1e-3)
    disturbed = [row for row in figures["turns"].chart["data"]["values"] if row["disturbed"]]
    assert len(disturbed) == sum(block.disturbed for pair in record.pairs for block in pair.blocks)


def test_the_charts_of_a_gate_show_the_numbers_of_the_record():
    record = mixed_gate()
    figures = {figure.name: figure.chart["data"]["values"] for figure in gate_figures(record)}
    result = record.benchmarks[1].metrics[0]
    (row,) = [row for row in figures["change-step"] if row["benchmark"] == "rnn-compiled"]
    ends = [row[name] for name in ("change", "low", "high", "limit")]
    ratios = [result.ratio.value, result.ratio.low, result.ratio.high, 1.05]
    assert ends == pytest.approx([100 * (ratio - 1) for ratio in ratios], abs=1e-3)
    confirmed = [
        row["change"]
        for row in figures["pairs"]
        if (row["benchmark"], row["stage"]) == ("rnn-compiled", "further pairs")
    ]
    logs = [math.log1p(change / 100) for change in confirmed]
    assert math.exp(sum(logs) / len(logs)) == pytest.approx(result.ratio.value, abs=1e-5)


def test_the_chart_of_a_history_draws_the_level():
    series = find_history(fixed_gates([1.0] * 8 + [1.06] * 8)).series[0]
    rows = _rows(series_figure(series, "series").chart)
    level = 100 * math.expm1(series.points[-1].level)
    assert rows[-1]["level"] == pytest.approx(level, abs=1e-3)
    assert rows[-1]["low"] < rows[-1]["change"] < rows[-1]["high"]
