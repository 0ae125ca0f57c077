"""Runs of the user's own models: arguments are settings, models of one framework compare, others do not."""

import pytest
from support.made_records import made_own, seeds_of
from support.made_runs import findings_of
from support.records import save_runs

import harness as package
from harness.core.runs.selection import Selection
from harness.core.shell.features import records
from harness.learning.runs.kept_apart import kept_apart_sentence
from harness.learning.runs.run_summary import compared


def own_runs(accuracy, seeds=range(3), **changes):
    return seeds_of(changes.pop("backend", "torch"), seeds, made=made_own, accuracy=accuracy, **changes)


def widths(**changes):
    """Three seeds of each of two widths of one model; 128 is better."""
    return [
        record
        for width, accuracy in ((64, 0.6), (128, 0.7))
        for record in own_runs(
            accuracy, options={"width": 64, "init": "default"}, arguments={"width": width}, **changes
        )
    ]


def test_an_argument_is_an_axis_that_needs_no_certificate():
    (group,) = findings_of(*widths()).groups
    comparison = group.comparison
    assert comparison.group.axes == ("width",)
    assert comparison.group.comparable
    assert comparison.group.title == "width 64, 128 on net: digits, 2 epochs, torch:eager"
    (pair,) = comparison.pairs
    assert (pair.reference.name, pair.quality_verdict) == ("width=64", "better")


def test_models_of_one_framework_are_settings():
    big = own_runs(0.8, model="big", options={"depth": 2})
    (group,) = findings_of(*widths(), *big).groups
    comparison = group.comparison
    assert comparison.group.axes == ("model",)
    assert {summary.name for summary in comparison.summaries} == {"net width=64", "net width=128", "big"}
    assert comparison.group.title.startswith("model big, net width=128, net width=64: digits")
    assert len(comparison.pairs) == 2


def test_models_and_another_setting_are_compared_in_every_combination():
    runs = [
        record
        for model in ("net", "big")
        for rate in (0.1, 0.01)
        for record in own_runs(0.5, model=model, options={"learning_rate": rate})
    ]
    findings = findings_of(*runs)
    assert [variation.values.keys() for variation in findings.variations] == [{"model", "learning_rate"}]
    (group,) = findings_of(*runs, by="model,learning_rate").groups
    assert len(group.comparison.pairs) == 3
    by_model = findings_of(*runs, by="model").groups
    assert [len(group.comparison.summaries) for group in by_model] == [2, 2]


def test_models_of_two_frameworks_are_not_ranked_without_a_proof():
    ours = own_runs(0.6, arguments={"width": 128})
    findings = findings_of(*ours, *own_runs(0.9, model="knet", backend="keras", options={"width": 64}))
    assert all(not group.comparison.pairs for group in findings.groups)
    (apart,) = findings.kept_apart
    assert kept_apart_sentence(apart) == (
        "net width=128, knet on digits (6 runs): not ranked, because nothing proves that they are the same "
        "model. Prove it: harness port /models/net.py:make /models/knet.py:make --set-a width=128 "
        "--dataset digits --save-task pair.py"
    )


def test_the_end_of_a_run_compares_models_of_one_framework(tmp_path):
    ours, theirs = own_runs(0.6), own_runs(0.9, model="knet", backend="keras")
    assert compared([*ours, *theirs], tmp_path) == []
    assert compared([*ours, *own_runs(0.7, model="big")], tmp_path)


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        ("model=net", 6),
        ("model=net width=64", 3),
        ("width=128", 3),
        ("init=default", 6),
    ],
)
def test_filters_and_tables_have_models_and_arguments(tmp_path, selection, count):
    save_runs(tmp_path, *widths())
    assert len([*Selection([selection], tmp_path, records())]) == count
    frame = package.load_results(tmp_path)
    assert set(frame["model"]) == {"net width=64", "net width=128"}
    assert set(frame["option_width"]) == {64, 128}
    assert set(frame["option_init"]) == {"default"}


def test_a_model_with_other_arguments_is_another_value_of_the_axis_model(tmp_path):
    save_runs(tmp_path, *widths())
    report = package.compare(results=tmp_path, by="model")
    assert sorted(report.configurations["model"]) == ["net width=128", "net width=64"]
    assert list(package.compare(results=tmp_path, by="width").configurations["width"]) == [64, 128]
