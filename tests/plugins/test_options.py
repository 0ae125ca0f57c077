"""Parsing a task's options, and the errors for invalid ones."""

from typing import Annotated, Literal

import msgspec
import pytest

from harness.errors import UsageError
from harness.plugins.options import describe_options, parse_alternatives, parse_options
from harness.spec.task import TaskDefinition
from harness_tasks.cnn import CNN


def _define(*assignments):
    return CNN.define(parse_options(CNN, assignments))


def _kinds():
    class Options(msgspec.Struct, frozen=True):
        count: Annotated[int, msgspec.Meta(ge=1, lt=10, description="how many")] = 3
        ratio: float = 0.5
        fast: bool = False
        kind: Literal["one", "two", "a,b"] = "one"
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
        ("kind", "one of a,b, one, two", "one", ""),
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
        ("kind=three", "--set kind=three: kind takes one of a,b, one, two."),
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
    ("assignments", "values"),
    [
        (["count=2,4, 2"], {"count": [2, 4]}),
        (["ratio=.25,1e-3"], {"ratio": [0.25, 0.001]}),
        (["fast=true,false"], {"fast": [True, False]}),
        (["kind=two", "count=1", "kind=one"], {"kind": ["two", "one"], "count": [1]}),
        (["kind=one,two,one"], {"kind": ["one", "two"]}),
        (["kind=a,b"], {"kind": ["a,b"]}),
        (["note=a,b", "note=c"], {"note": ["a,b", "c"]}),
        ([], {}),
    ],
)
def test_commas_separate_values_except_those_within_a_value(assignments, values):
    assert parse_alternatives(KINDS, assignments) == values


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("count=2,x,3", "--set count=2,x,3: 'x' does not fit; count takes an integer >= 1 and < 10."),
        ("count=2,", "--set count=2,: '' does not fit; count takes an integer >= 1 and < 10."),
        ("kind=one,three", "--set kind=one,three: 'three' does not fit; kind takes one of a,b, one, two."),
        ("kind=three", "--set kind=three: kind takes one of a,b, one, two."),
        ("cuont=3,4", "unknown option 'cuont' of task kinds. Did you mean 'count'?"),
    ],
)
def test_one_bad_value_of_several_is_named(assignment, message):
    with pytest.raises(UsageError) as caught:
        parse_alternatives(KINDS, [assignment])
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
def test_values_out_of_bounds_are_refused(assignment):
    with pytest.raises(UsageError, match=f"--set {assignment}: "):
        parse_options(CNN, [assignment])
