"""Arguments of a user's own model on the command line."""

import click
import pytest

from harness.core.shell.own_model import arguments


def parsed(*texts):
    return arguments(None, click.Option(["--set-model"]), texts)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        (" 0.5", 0.5),
        ("None", None),
        ("default", "default"),
        ("", ""),
        ("/data/model.pt", "/data/model.pt"),
        ("#fff", "#fff"),
        ("f(a,b)", "f(a,b)"),
        ("(1,2)", (1, 2)),
        ("()", ()),
        ("[1,2]", [1, 2]),
        ("{'x':1,'y':2}", {"x": 1, "y": 2}),
        ('"default,kaiming"', "default,kaiming"),
        ("(" * 300, "(" * 300),
        ("1]+[2", "1]+[2"),
    ],
)
def test_a_value_is_a_python_literal_or_a_text(text, value):
    assert parsed(f"a={text}", "b=1") == {"a": value, "b": 1}


@pytest.mark.parametrize(
    "text", ["default,kaiming", "1,2", "1,", ",", "(1),2", "(1,2),(3,4)", "/data/a,b", "a b,c", "1],[2"]
)
def test_commas_outside_brackets_and_quotes_separate_values_of_which_one_is_taken(text):
    with pytest.raises(click.BadParameter, match="has several values; give one, or quote the text: a="):
        parsed(f"a={text}")


def test_a_name_is_given_once():
    with pytest.raises(click.BadParameter, match="a is given twice"):
        parsed("a=1", "b=2", "a=1")
