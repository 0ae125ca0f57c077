"""A recorded command is taken apart, changed and put together again."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.sharing.reproduce.recorded_command import RecordedCommand

NEW = Path("new")


def test_arguments_come_last_and_files_and_output_are_left_out():
    words = ["duel", "torch", "--task=mlp", "--no-certify", "--results", "old", "--quiet", "keras"]
    command = RecordedCommand(words, ("duel",))
    assert command.values("texts") == ["torch", "keras"]
    assert command.values("task") == ["--task=mlp"[7:]]
    assert command.words(NEW) == [
        *("duel", "--task", "mlp", "--no-certify", "--results", "new", "--", "torch", "keras"),
    ]


def test_no_file_of_the_recorded_command_is_written():
    words = ["gate", "--base", "main", "--to", "/etc/passwd", "--suite", "gate.toml"]
    given = RecordedCommand(words, ("gate",)).words(NEW)
    assert given == ["gate", "--base", "main", "--suite", "gate.toml", "--results", "new"]
    words = ["port", "a.py:f", "b.py:f", "--save-map", "x", "--save-task", "y"]
    assert RecordedCommand(words, ("port",)).words(NEW) == [
        "port",
        "--results",
        "new",
        "--",
        "a.py:f",
        "b.py:f",
    ]


def test_values_are_replaced_and_left_out():
    command = RecordedCommand(["duel", "torch", "jax", "--budget", "2m"], ("duel",))
    command.drop("budget")
    command.set("threads", "1")
    command.set("texts", "torch:eager", "jax:jit")
    assert command.text(NEW) == "harness duel --threads 1 --results new -- torch:eager jax:jit"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["clean", "--all"], "the recorded command is not harness duel: harness clean --all"),
        ([], "the recorded command is not harness duel"),
        (
            ["duel", "torch", "--gone", "3"],
            "does not take .* No such option '--gone'",
        ),
        (["duel", "torch", "--task"], "Option '--task' requires an argument"),
    ],
)
def test_another_command_is_refused(words, message):
    with pytest.raises(UsageError, match=message):
        RecordedCommand(words, ("duel",))
