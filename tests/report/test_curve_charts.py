"""Curves over epochs: seeds, bands, marks, coinciding lines, possible values and lasting colours."""

import dataclasses
import itertools
import re

import pytest
from support.charts import valid
from support.made_runs import made_record, made_runs

from harness.analysis.grouping import group_runs
from harness.analysis.overfit import overfitting
from harness.report.charts.base import GREY, PALETTE, configuration_colours, sized, svg
from harness.report.charts.curves import coincidences, gap_curves, learning_curves, loss_curves, loss_lines
from harness.report.document import Figure

HELD_OUT = (2.0, 1.0, 1.5, 2.0)
TRAIN = (2.0, 1.0, 0.5, 0.25)


def _curves(*records):
    (group,) = group_runs(made_runs(*records)).groups
    return [overfitting(group, configuration) for configuration in group.configurations]


def _seeds(count, name="torch", shift=0.0):
    return [
        made_record(
            name, seed, train=TRAIN, held_out=[loss + shift + (0.2 + shift) * seed for loss in HELD_OUT]
        )
        for seed in range(count)
    ]


def _layers(chart):
    return valid(chart)["layer"]


def _means(chart):
    return chart["data"]["values"]


def _kinds(chart):
    return [layer["mark"]["type"] for layer in _layers(chart)]


@pytest.mark.parametrize(("seeds", "area", "lines"), [(1, 0, 1), (2, 0, 2), (3, 1, 2)])
def test_a_band_needs_three_seeds_and_each_seed_is_a_line(seeds, area, lines):
    chart = loss_curves(_curves(*_seeds(seeds)), configuration_colours(["torch:eager"]))
    kinds = _kinds(chart)
    assert (kinds.count("area"), kinds.count("line")) == (area, lines)


def test_onset_and_best_epoch_are_marked_and_named():
    chart = loss_curves(_curves(*_seeds(3)), configuration_colours(["torch:eager"]))
    texts = [layer for layer in _layers(chart) if layer["mark"]["type"] == "text"]
    rows = [row for layer in texts for row in layer["data"]["values"]]
    texts = [row["mark"] for row in rows]
    assert texts == ["overfits from epoch 3", "best epoch 2"]


@pytest.mark.parametrize("chart_of", [loss_curves, learning_curves])
def test_the_names_of_marked_epochs_stand_above_the_plot_where_no_curve_is(chart_of):
    chart = chart_of(_curves(*_seeds(3)), configuration_colours(["torch:eager"]))
    texts = [layer for layer in _layers(chart) if layer["mark"]["type"] == "text"]
    heights = {row["mark"]: layer["mark"]["y"] for layer in texts for row in layer["data"]["values"]}
    assert set(heights) == {"overfits from epoch 3", "best epoch 2"}
    assert all(height < 0 for height in heights.values())
    assert len(set(heights.values())) == 2  # of two epochs that are near, neither covers the other
    assert all("y" not in layer["encoding"] for layer in texts)
    aligned = {row["epoch"]: layer["mark"]["align"] for layer in texts for row in layer["data"]["values"]}
    assert aligned == {3: "right", 2: "left"}  # towards the middle of the chart


def test_more_than_four_configurations_have_a_panel_each():
    names = [f"own{number}" for number in range(5)]
    records = [record for name in names for record in _seeds(3, name, shift=0.01 * names.index(name))]
    labels = [f"{name}:eager" for name in names]
    for chart_of in (loss_curves, learning_curves, gap_curves):
        curves = _curves(*records)
        together = valid(chart_of(curves[:4], configuration_colours(labels)))
        assert "layer" in together
        chart = valid(chart_of(curves, configuration_colours(labels)))
        assert chart["facet"]["sort"] == labels
        rows = chart["data"]["values"]
        assert {row["configuration"] for row in rows} == set(labels)
        parts = [layer["transform"][0]["filter"]["equal"] for layer in chart["spec"]["layer"]]
        assert {row["part"] for row in rows} == set(parts)
        assert all("data" not in layer for layer in chart["spec"]["layer"])
        legends = [layer["encoding"]["color"]["legend"] for layer in chart["spec"]["layer"]]
        assert set(legends) == {None}


@pytest.mark.parametrize(("width", "columns"), [(480, 3), (340, 2), (1200, 4)])
def test_panels_share_the_width(width, columns):
    names = [f"own{number}" for number in range(5)]
    curves = _curves(*(record for name in names for record in _seeds(1, name)))
    chart = sized(loss_curves(curves, configuration_colours(names)), width)
    assert chart["columns"] == columns
    assert columns * (chart["spec"]["width"] + chart["spacing"]) <= width
    assert "width" not in chart


def test_long_names_do_not_widen_their_panels():
    names = [f"adam{number} learning_rate=0.0001 batch_size=128" for number in range(5)]
    curves = _curves(*(record for number in range(5) for record in _seeds(1, f"own{number}")))
    named = [
        dataclasses.replace(each, configuration=dataclasses.replace(each.configuration, name=name))
        for each, name in zip(curves, names, strict=True)
    ]
    drawn = svg(Figure("loss", "", loss_curves(named, configuration_colours(names))), 480)
    assert float(re.search(r'width="([\d.]+)"', drawn)[1]) < 500
    assert all(part in drawn for part in (">adam0<", ">learning_rate=0.0001<", ">batch_size=128<"))


def test_accuracies_stay_between_0_and_100_per_cent():
    noisy = [
        made_record("torch", seed, train=(0.01, 0.3 * seed, 0.01), held_out=(0.01, 1.8 * seed, 0.02))
        for seed in range(3)
    ]
    chart = learning_curves(_curves(*noisy), configuration_colours(["torch:eager"]))
    rows = _means(chart)
    ends = [row[end] for row in rows for end in ("low", "high")]
    assert min(ends) >= 0
    assert max(ends) <= 100


def test_coinciding_curves_are_drawn_wider_and_named():
    curves = _curves(*_seeds(3, "jax"), *_seeds(3, "torch"), *_seeds(3, "keras", shift=0.5))
    (sentence,) = coincidences(loss_lines(curves))
    assert sentence.startswith("The curves of jax:eager and torch:eager are identical to 1e-6")
    chart = loss_curves(curves, configuration_colours(["jax:eager", "torch:eager", "keras:eager"]))
    widths = {row["configuration"]: row["width"] for row in _means(chart)}
    assert widths == {"jax:eager": 5, "torch:eager": 2, "keras:eager": 2}


def test_curves_that_only_look_alike_are_not_called_identical():
    curves = _curves(*_seeds(3, "jax"), *_seeds(3, "torch", shift=1e-3))
    (sentence,) = coincidences(loss_lines(curves))
    assert "lie on each other" in sentence


def test_a_configuration_keeps_its_colour_on_every_page():
    shipped = [
        "torch:eager",
        "torch:compile",
        "keras:fit",
        "keras:xla",
        "keras-torch:fit",
        "keras-jax:fit",
        "jax:jit",
    ]
    alone = {name: configuration_colours([name])[name] for name in shipped}
    assert len(set(alone.values())) == len(PALETTE)
    for some in itertools.combinations(shipped, 3):
        assert configuration_colours(some) == {name: alone[name] for name in some}
    assert GREY not in PALETTE  # legends of dashes are grey
    assert configuration_colours(["jax:jit (jax 0.10)"]) == {"jax:jit (jax 0.10)": alone["jax:jit"]}
