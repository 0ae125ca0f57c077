"""The cases of a task cover what its options offer, with a schedule's whole course in them."""

import msgspec
import numpy as np
import pytest

from harness.core.certify import cases as case_module
from harness.core.certify.cases import MANY_STEPS, SEED, STEPS, cases
from harness.core.certify.dropout import uses_dropout
from harness.core.plugins import registry
from harness.core.reference.training import without_dropout
from harness.core.training.batches import BatchOrder
from harness.layers import BatchNorm, Dropout, Native, PositionEmbedding, SelfAttention
from harness.network import Network
from harness.spec import ConstantRate, RmsProp

TASKS = ["mlp", "cnn", "rnn", "forecast", "gan", "resnet", "lm", "tabular"]


def by_name(task):
    return {case.name: case for case in cases(registry.task(task))}


@pytest.mark.parametrize("name", TASKS)
def test_the_course_of_a_schedule_lies_within_the_case(name):
    scheduled = [case for case in by_name(name).values() if case.task.schedule != ConstantRate()]
    assert scheduled
    for case in scheduled:
        assert case.steps == MANY_STEPS
        order = BatchOrder.of_task(case.task, case.samples, SEED)
        rates = order.rates.of_steps(0, case.steps)
        assert order.rates.steps == case.steps
        assert rates.max() == pytest.approx(case.task.optimizer.learning_rate)
        assert rates[-1] < 0.2 * rates.max()
        assert len(np.unique(rates)) >= 3


def test_the_plain_case_has_nothing_but_the_network():
    for name in TASKS:
        plain = by_name(name)["sgd"].task
        assert (plain.clip_norm, plain.weight_decay, plain.schedule) == (0.0, 0.0, ConstantRate())


def test_an_optimizer_that_no_rule_names_has_a_case_of_its_own(monkeypatch):
    definition = registry.task("mlp")
    assert "rmsprop" not in {case.name for case in cases(definition)}
    rules = {name: rule for name, rule in case_module._RULES.items() if name != "rmsprop, l2"}
    monkeypatch.setattr(case_module, "_RULES", rules)  # an item that is put back would be the last one
    (case,) = (case for case in cases(definition) if case.name == "rmsprop")
    assert isinstance(case.task.optimizer, RmsProp)


def test_networks_without_state_or_branches_make_few_steps():
    assert {case.steps for case in by_name("mlp").values() if case.name != "schedule, clipping"} == {STEPS}
    assert {case.steps for case in by_name("lm").values()} == {MANY_STEPS}


def test_a_model_of_the_users_own_makes_few_steps_on_small_batches():
    layer = Native(models=(), trained=(), held=(), outputs=(3,))
    plain = registry.task("mlp")
    own = msgspec.structs.replace(
        plain,
        define=lambda options: msgspec.structs.replace(
            plain.define(options), networks={"model": Network((4,), (layer,))}
        ),
    )
    found = cases(own)
    assert {(case.steps, case.task.batch_size) for case in found} == {(STEPS, 4)}
    assert {case.samples % 4 for case in found} == {0, 3}


def test_a_shorter_sequence_has_the_same_tables_and_a_batch_of_one():
    case = by_name("lm")["shorter sequence"]
    whole = by_name("lm")["sgd"]
    assert case.task.networks["model"].input_shape < whole.task.networks["model"].input_shape
    assert case.task.parameters() == whole.task.parameters()
    assert case.samples % case.task.batch_size == 1


def test_the_certified_networks_have_the_layers_of_the_whole_ones():
    for name in ("resnet", "lm"):
        definition = registry.task(name)
        whole = definition.define(definition.options())
        certified = by_name(name)["default"].task
        kinds = [
            {type(place.layer) for place in task.networks["model"].leaves()} - {Dropout}
            for task in (whole, certified)
        ]
        assert kinds[0] == kinds[1]
        assert kinds[0] & {BatchNorm, PositionEmbedding}


def test_dropout_within_a_tree_is_seen_and_left_out():
    definition = registry.task("lm")
    task = definition.define(msgspec.convert({"dropout": 0.1}, definition.options))
    assert uses_dropout(task)
    rates = [
        place.layer.dropout
        for place in without_dropout(task).networks["model"].leaves()
        if isinstance(place.layer, SelfAttention)
    ]
    assert rates == [0.0] * 4
    assert not uses_dropout(without_dropout(task))
