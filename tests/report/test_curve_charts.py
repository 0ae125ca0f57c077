"""Curves over epochs: seeds, bands, marks, coinciding lines, possible values and lasting colours."""

import itertools

import pytest
from support.charts import valid
from support.made_runs import made_record, made_runs

from harness.analysis.grouping import group_runs
from harness.analysis.overfit import overfitting
from harness.report.charts.base import PALETTE, configuration_colours
from harness.report.charts.curves import coincidences, learning_curves, loss_curves, loss_lines

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


@pytest.mark.parametrize(("held_out", "room"), [((3.0, 2.0, 1.0), True), ((3.0, 2.9, 2.8), False)])
def test_the_name_of_the_best_epoch_does_not_cover_the_axis(held_out, room):
    record = made_record("torch", 0, train=(2.5, 1.9, 1.0), held_out=held_out)
    chart = loss_curves(_curves(record), configuration_colours(["torch:eager"]))
    scales = [layer["encoding"].get("y", {}).get("scale", {}) for layer in chart["layer"]]
    assert any("padding" in scale for scale in scales) == room


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
    assert configuration_colours(["jax:jit (jax 0.10)"]) == {"jax:jit (jax 0.10)": alone["jax:jit"]}
