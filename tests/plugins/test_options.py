"""A task's options: what is refused and in which words, and that each one reaches the task."""

from typing import Annotated, Literal

import msgspec
import pytest

from harness.errors import UsageError
from harness.layers import Dropout
from harness.plugins.options import describe_options, parse_options
from harness.spec.task import Adam, Penalty, RmsProp, Sgd, TaskDefinition
from harness_tasks.cnn import CNN


def _define(*assignments):
    return CNN.define(parse_options(CNN, assignments))


def _kinds():
    class Options(msgspec.Struct, frozen=True):
        count: Annotated[int, msgspec.Meta(ge=1, lt=10, description="how many")] = 3
        ratio: float = 0.5
        fast: bool = False
        kind: Literal["one", "two"] = "one"
        note: str = ""

    return TaskDefinition(
        name="kinds", summary="", datasets=(), options=Options, define=lambda options: options
    )


KINDS = _kinds()


def test_options_are_described_for_a_person():
    assert describe_options(KINDS) == [
        ("count", "integer >= 1 and < 10", 3, "how many"),
        ("ratio", "number", 0.5, ""),
        ("fast", "true or false", False, ""),
        ("kind", "one of one, two", "one", ""),
        ("note", "text", "", ""),
    ]


def test_every_option_of_the_cnn_has_a_description():
    assert all(description for *_, description in describe_options(CNN))


@pytest.mark.parametrize(
    ("assignment", "attribute", "value"),
    [
        ("count=9", "count", 9),
        ("ratio=1e-3", "ratio", 0.001),
        ("ratio=-2", "ratio", -2.0),
        ("fast=true", "fast", True),
        ("fast=0", "fast", False),
        ("kind=two", "kind", "two"),
        ("note=a=b", "note", "a=b"),
        ("note=", "note", ""),
    ],
)
def test_a_value_is_read_as_the_option_declares(assignment, attribute, value):
    parsed = getattr(parse_options(KINDS, [assignment]), attribute)
    assert (parsed, type(parsed)) == (value, type(value))


def test_a_text_that_begins_with_a_dot_is_left_as_it_is():
    assert parse_options(KINDS, ["note=./words.txt"]).note == "./words.txt"
    assert parse_options(KINDS, ["ratio=.25"]).ratio == 0.25
    with pytest.raises(UsageError, match=r"^--set ratio=\.x: ratio takes a number"):
        parse_options(KINDS, ["ratio=.x"])


def test_the_last_assignment_of_a_key_counts():
    assert parse_options(KINDS, ["count=2", "fast=true", "count=4"]) == KINDS.options(count=4, fast=True)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("count=0", "--set count=0: count takes an integer >= 1 and < 10."),
        ("count=10", "--set count=10: count takes an integer >= 1 and < 10."),
        ("count=2.5", "--set count=2.5: count takes an integer >= 1 and < 10."),
        ("count=", "--set count=: count takes an integer >= 1 and < 10."),
        ("ratio=banana", "--set ratio=banana: ratio takes a number."),
        ("ratio=nan", "--set ratio=nan: ratio takes a number."),
        ("ratio=inf", "--set ratio=inf: ratio takes a number."),
        ("ratio=-inf", "--set ratio=-inf: ratio takes a number."),
        ("ratio=1e999", "--set ratio=1e999: ratio takes a number."),
        ("fast=maybe", "--set fast=maybe: fast takes true or false."),
        ("kind=three", "--set kind=three: kind takes one of one, two."),
        ("count", "--set count: write KEY=VALUE, for example --set learning_rate=0.05"),
        ("cuont=3", "unknown option 'cuont' of task kinds. Did you mean 'count'?"),
        ("=3", "unknown option '' of task kinds. Known: count, fast, kind, note, ratio."),
    ],
)
def test_a_bad_assignment_is_refused_with_what_would_be_right(assignment, message):
    with pytest.raises(UsageError) as caught:
        parse_options(KINDS, ["note=fine", assignment])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "assignment",
    [
        "learning_rate=0",
        "learning_rate=-1",
        "momentum=1",
        "momentum=-0.1",
        "dropout=1",
        "dropout=-0.1",
        "width=0",
        "width=65",
        "l1=-1",
        "l2=-1",
        "optimizer=lion",
        "nesterov=2",
    ],
)
def test_the_cnn_refuses_what_makes_no_sense(assignment):
    with pytest.raises(UsageError, match=f"--set {assignment}: "):
        parse_options(CNN, [assignment])


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["optimizer=adam", "momentum=0.9"], "momentum and nesterov belong to optimizer=sgd, not to adam"),
        (["optimizer=rmsprop", "nesterov=true"], "belong to optimizer=sgd, not to rmsprop"),
        (["nesterov=true"], "nesterov=true needs a momentum above 0"),
    ],
)
def test_options_that_contradict_each_other_are_refused(assignments, message):
    with pytest.raises(ValueError, match=message):
        _define(*assignments)


@pytest.mark.parametrize(
    ("assignments", "optimizer"),
    [
        ([], Sgd(0.01, 0.0, nesterov=False)),
        (["learning_rate=0.5", "momentum=0.9"], Sgd(0.5, 0.9, nesterov=False)),
        (["momentum=0.9", "nesterov=true"], Sgd(0.01, 0.9, nesterov=True)),
        (["optimizer=adam", "learning_rate=0.002"], Adam(0.002, 0.9, 0.999, 1e-7)),
        (["optimizer=rmsprop", "learning_rate=0.002"], RmsProp(0.002, 0.9, 1e-7)),
    ],
)
def test_optimizer_options_reach_the_task(assignments, optimizer):
    assert _define(*assignments).optimizer == optimizer


def test_penalties_reach_the_task():
    assert _define().penalty == Penalty(0, 0)
    assert _define("l1=0.25", "l2=0.5").penalty == Penalty(l1=0.25, l2=0.5)


def test_width_scales_every_hidden_layer():
    def widths(text):
        parameters = _define(f"width={text}").parameters()
        return [parameter.shape[0] for name, parameter in parameters.items() if name.endswith("bias")]

    assert widths("1") == [32, 64, 128, 10]
    assert widths("0.5") == [16, 32, 64, 10]
    assert widths("0.001") == [1, 1, 1, 10]


def test_dropout_stands_ahead_of_the_last_layer():
    layers = _define("dropout=0.25").networks["model"].layers
    assert layers[-2] == Dropout(0.25)
    assert [layer for layer in layers if not isinstance(layer, Dropout)] == list(
        _define().networks["model"].layers
    )


def test_every_option_changes_the_task():
    others = {
        "learning_rate": ["learning_rate=0.5"],
        "optimizer": ["optimizer=adam"],
        "momentum": ["momentum=0.5"],
        "nesterov": ["momentum=0.5", "nesterov=true"],
        "l1": ["l1=1"],
        "l2": ["l2=1"],
        "width": ["width=2"],
        "dropout": ["dropout=0.5"],
        "beta_1": ["optimizer=adam", "beta_1=0.25"],
        "weight_decay": ["weight_decay=1"],
        "train_fraction": ["train_fraction=0.5"],
        "imbalance": ["imbalance=0.1"],
        "rebalance": ["imbalance=0.1", "rebalance=weights"],
        "flip": ["flip=true"],
        "crop": ["crop=4"],
    }
    assert set(others) == {name for name, *_ in describe_options(CNN)}
    tasks = [_define(), *(_define(*assignments) for assignments in others.values())]
    assert len({msgspec.json.encode(task) for task in tasks}) == len(tasks)
