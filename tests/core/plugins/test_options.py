"""Parsing a task's options, and the errors for invalid ones."""

from typing import Annotated, Literal

import msgspec
import pytest

from harness.core.plugins.options import describe_options, parse_alternatives, parse_options
from harness.errors import UsageError
from harness.spec.task import TaskDefinition
from harness_tasks.cnn import CNN


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


def test_options_are_described_for_a_person(snapshot):
    assert describe_options(KINDS) == snapshot


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


WRONG = ["count=0", "count=10", "count=2.5", "count=", "ratio=banana", "ratio=nan", "ratio=inf", "ratio=-inf"]
WRONG += ["ratio=1e999", "fast=maybe", "kind=three", "count", "cuont=3", "=3"]


@pytest.mark.parametrize("assignment", WRONG)
def test_a_bad_assignment_is_refused_with_what_would_be_right(assignment, snapshot):
    with pytest.raises(UsageError) as caught:
        parse_options(KINDS, ["note=fine", assignment])
    assert str(caught.value) == snapshot


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
    "assignment", ["count=2,x,3", "count=2,", "kind=one,three", "kind=three", "cuont=3,4"]
)
def test_one_bad_value_of_several_is_named(assignment, snapshot):
    with pytest.raises(UsageError) as caught:
        parse_alternatives(KINDS, [assignment])
    assert str(caught.value) == snapshot


OUT_OF_BOUNDS = ["learning_rate=0", "learning_rate=-1", "momentum=1", "momentum=-0.1", "dropout=1"]
OUT_OF_BOUNDS += ["dropout=-0.1", "width=0", "width=65", "l1=-1", "l2=-1", "optimizer=lion", "nesterov=2"]


@pytest.mark.parametrize("assignment", OUT_OF_BOUNDS)
def test_values_out_of_bounds_are_refused(assignment):
    with pytest.raises(UsageError, match=f"--set {assignment}: "):
        parse_options(CNN, [assignment])
