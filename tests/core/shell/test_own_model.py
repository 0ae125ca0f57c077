"""Arguments of a user's own model on the command line."""

import click
import pytest

from harness.core.shell.own_model import arguments, value_lists

OPTION = click.Option(["--set-model"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        (" 0.5", 0.5),
        ("None", None),
        ("default", "default"),
        ("", ""),
        ("/data/model.pt", "/data/model.pt"),
        ("(1,2)", (1, 2)),
        ("{'x':1,'y':2}", {"x": 1, "y": 2}),
        ('"default,kaiming"', "default,kaiming"),
    ],
)
def test_one_value_is_a_python_literal_or_a_text(text, value):
    assert arguments(None, OPTION, (f"a={text}", "b=1")) == {"a": value, "b": 1}


@pytest.mark.parametrize("text", ["default,kaiming", "(1,2),(3,4)", "a b,c"])
def test_a_side_of_a_port_takes_one_value(text):
    with pytest.raises(click.BadParameter, match="has several values; give one, or quote the text: a="):
        arguments(None, OPTION, (f"a={text}",))


def test_a_side_of_a_port_takes_a_name_once():
    with pytest.raises(click.BadParameter, match="a is given twice"):
        arguments(None, OPTION, ("a=1", "b=2", "a=1"))


def test_values_of_a_model_are_those_of_all_assignments():
    given = value_lists(None, OPTION, ("a=1,2", "b=(1,2)", "a=3"))
    assert given == {"a": ["1", "2", "3"], "b": ["(1,2)"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=1,", r"lacks a value at a comma; a tuple has brackets: a='\(1,\)'"),
        ("a=,1", "lacks a value at a comma"),
        ("a", "is not an argument; give NAME=VALUE"),
        ("=3", "is not an argument; give NAME=VALUE"),
    ],
)
def test_what_is_no_list_of_values_is_refused(text, message):
    with pytest.raises(click.BadParameter, match=message):
        value_lists(None, OPTION, (text,))
