"""The cases that a run is certified by: all rules of its training, in as few cases as possible."""

import pytest

from harness.core.certify.run_cases import cases_of_run, rules_of
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options

FLOAT32 = "first losses in float32"


def made(name, *assignments):
    definition = registry.task(name)
    return definition, define_task(definition, parse_options(definition, list(assignments)))


@pytest.mark.parametrize(
    ("name", "assignments", "expected"),
    [
        ("mlp", [], {"sgd", "default", FLOAT32}),
        ("mlp", ["optimizer=sgd", "learning_rate=1"], {"sgd", FLOAT32}),
        ("mlp", ["optimizer=rmsprop"], {"sgd", "rmsprop, l2", FLOAT32}),
        ("mlp", ["weight_decay=0.1"], {"sgd", "adam, weight decay", FLOAT32}),
        ("mlp", ["clip_norm=1"], {"sgd", "default", "schedule, clipping", FLOAT32}),
        ("mlp", ["dropout=0.5"], {"sgd", "default", FLOAT32, "dropout"}),
        ("mlp", ["imbalance=0.5", "rebalance=weights"], {"sgd", "default", "class weights", FLOAT32}),
        ("mlp", ["label_smoothing=0.1"], {"sgd", "default", "label smoothing", FLOAT32}),
        ("mlp", ["loss=mse_softmax", "optimizer=sgd"], {"sgd", "mse_softmax", FLOAT32}),
        ("mlp", ["loss=mse_logits", "l1=0.1"], {"sgd", "default", "mse_logits", "momentum, l1", FLOAT32}),
        ("tabular", ["loss=mse_sigmoid"], {"sgd", "default", "mse_sigmoid", FLOAT32}),
        ("forecast", ["loss=mae"], {"sgd", "default", "mae", FLOAT32}),
        ("forecast", ["loss=huber"], {"sgd", "default", "huber", FLOAT32}),
        ("cnn", [], {"sgd", "ties in pooling", FLOAT32}),
        ("cnn", ["flip=true"], {"sgd", "ties in pooling", "full-batch gd", FLOAT32}),
        ("lm", [], {"sgd", "default", FLOAT32}),
        ("resnet", [], {"sgd", "default", FLOAT32}),
    ],
)
def test_a_run_needs_the_network_and_its_own_rules(name, assignments, expected):
    assert cases_of_run(*made(name, *assignments), "float32", long_calls=False) == expected


@pytest.mark.parametrize(("nesterov", "case"), [("true", "nesterov, l2"), ("false", "momentum, l1")])
def test_one_form_of_momentum_does_not_show_the_other(nesterov, case):
    definition, task = made("mlp", "optimizer=sgd", "momentum=0.9", f"nesterov={nesterov}")
    assert cases_of_run(definition, task, "float32", long_calls=False) == {"sgd", case, FLOAT32}


def test_long_calls_and_the_precision_are_as_asked_for():
    definition, task = made("mlp")
    assert cases_of_run(definition, task, "float64", long_calls=True) == {"sgd", "default", "long calls"}
    bfloat16 = cases_of_run(definition, task, "bfloat16", long_calls=False)
    assert bfloat16 == {"sgd", "default", "first losses in bfloat16"}


def test_runs_of_the_same_rules_share_a_certificate():
    def rules(*assignments):
        return rules_of(made("mlp", *assignments)[1])

    assert rules() == rules("learning_rate=0.1") == rules("width=2")
    assert len({rules(), rules("dropout=0.1"), rules("l2=0.1"), rules("optimizer=sgd")}) == 4
