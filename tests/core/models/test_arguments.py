"""The arguments of a model's callable: what they take, what is refused, and the options that they are."""

from typing import Annotated, Any, Literal

import pytest

from harness.core.models.arguments import option_value, signature_of, split_values
from harness.errors import UsageError


def make(
    init: Literal["default", "kaiming"] = "default",
    width: int = 64,
    rate: float = 0.5,
    bias: bool = True,
    act: str = "relu",
    hidden: tuple[int, ...] = (8,),
    size: int | None = None,
    share: Annotated[float, "of all"] = 1.0,
    depth=2,
    norm="none",
    plain=False,
    sizes=(1, 2),
    other=None,
    layer=object,
):
    """Make nothing."""


SIGNATURE = signature_of(make)


def value_of(name, text):
    argument = SIGNATURE.argument(name)
    assert argument is not None
    return argument.value_of(text)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("init", "kaiming", "kaiming"),
        ("width", " 128", 128),
        ("rate", "1", 1.0),
        ("bias", "false", False),
        ("bias", "True", True),
        ("act", "3", "3"),
        ("act", '"a,b"', "a,b"),
        ("hidden", "(64, 32)", (64, 32)),
        ("size", "None", None),
        ("size", "3", 3),
        ("share", "0.25", 0.25),
        ("depth", "0.5", 0.5),
        ("norm", "batch", "batch"),
        ("plain", "true", True),
        ("sizes", "[3]", [3]),
        ("other", "x", "x"),
        ("layer", "f(a,b)", "f(a,b)"),
    ],
)
def test_a_value_has_the_type_of_the_annotation_or_the_default(name, text, value):
    parsed = value_of(name, text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "takes"),
    [
        ("init", "he", "init takes one of default, kaiming."),
        ("width", "wide", "width takes an integer."),
        ("width", "0.5", "width takes an integer."),
        ("width", "True", "width takes an integer."),
        ("rate", "high", "rate takes a number."),
        ("bias", "1", "bias takes true or false."),
        ("size", "0.5", "size takes an integer or None."),
        ("depth", "deep", "depth takes a number."),
        ("plain", "yes", "plain takes true or false."),
        ("hidden", "64", "such as (64, 32). hidden='(64,)' is a tuple."),
        ("rate", "1e999", "the number is not finite."),
    ],
)
def test_a_value_that_the_annotation_or_the_default_makes_impossible_is_refused(name, text, takes):
    with pytest.raises(UsageError) as refused:
        value_of(name, text)
    assert str(refused.value).startswith(f"--set-model {name}={text}: ")
    assert str(refused.value).endswith(takes)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1", ["1"]),
        ("default,kaiming", ["default", "kaiming"]),
        ("(1,2),(3, 4)", ["(1,2)", "(3, 4)"]),
        ("[1,2]", ["[1,2]"]),
        ("{'x':1,'y':2}", ["{'x':1,'y':2}"]),
        ('"a,b",c', ['"a,b"', "c"]),
        ("f(a,b)", ["f(a,b)"]),
        ("/data/a,b", ["/data/a", "b"]),
        ("1],[2", ["1]", "[2"]),
        ("", [""]),
        ("1,", ["1", ""]),
        (",", ["", ""]),
        ("(" * 300, ["(" * 300]),
    ],
)
def test_commas_outside_brackets_and_quotes_separate_values(text, values):
    assert split_values(text) == values


def test_every_combination_is_made_and_defaults_are_no_arguments():
    given = {"init": ["kaiming", "default"], "width": ["64", "128", "64"]}
    assert [*SIGNATURE.combinations("net.py:make", given)] == [
        {"init": "kaiming"},
        {"init": "kaiming", "width": 128},
        {},
        {"width": 128},
    ]


def test_options_are_those_that_a_record_can_hold():
    options = SIGNATURE.options({"width": 128})
    assert options["width"] == 128
    assert options["hidden"] == (8,)
    assert "layer" not in options


@pytest.mark.parametrize(
    ("value", "option"),
    [
        (3, 3),
        (0.5, 0.5),
        (True, True),
        ("relu", "relu"),
        ("3", "'3'"),
        (None, "None"),
        ((1, 2), "(1, 2)"),
        ([1], "[1]"),
    ],
)
def test_an_option_is_a_number_or_the_text_that_stands_for_the_value(value, option):
    assert option_value(value) == option
    assert type(option_value(value)) is type(option)


def needs(width: int, *, depth: int = 1) -> None:
    """Make nothing of a width."""


def takes_any(**_: Any) -> None:
    """Make nothing."""


class Net:
    """A class is a callable, too."""

    def __init__(self, width: int = 3) -> None: ...


def test_a_missing_argument_is_named():
    with pytest.raises(UsageError, match=r"net\.py:needs needs width: give --set-model width=VALUE"):
        next(signature_of(needs).combinations("net.py:needs", {"depth": ["2"]}))


def test_a_callable_of_any_arguments_takes_every_name():
    (chosen,) = signature_of(takes_any).combinations("net.py:takes_any", {"width": ["3"]})
    assert chosen == {"width": 3}
    assert SIGNATURE.argument("unknown") is None


def test_the_arguments_of_a_class_are_those_of_its_constructor():
    (argument,) = signature_of(Net).arguments
    assert (argument.name, argument.kind, argument.default) == ("width", "int", "3")


def test_annotations_with_unknown_names_say_nothing():
    def annotated(width: "Unknown" = 3): ...  # type: ignore[name-defined]  # noqa: F821

    (argument,) = signature_of(annotated).arguments
    assert (argument.kind, argument.default) == ("number", "3")
