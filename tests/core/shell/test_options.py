"""The shared options: parsing, and one wording in every command."""

import shlex
from collections import defaultdict
from pkgutil import resolve_name

import click
import pytest
from click.testing import CliRunner

from harness.core.shell import options, printing, run_options
from harness.core.shell.commands.run import _training_text as own_training_text
from harness.core.shell.main import commands
from harness.core.shell.parameters import DURATION, split_names
from harness_tasks.mlp import MLP

#: Options whose help names what they are for in that command.
_SPECIFIC = {"--task", "--to", "--budget", "--backend", "--verbose", "--precision", "--turns"}
#: ``run`` takes several values of these.
_SPECIFIC |= {"--set", "--threads", "--batch-size"}
#: Of steps of a user's own they mean the seed that is set, and the time for one answer.
_SPECIFIC |= {"--seed", "--timeout"}
_SPECIFIC |= {"--within", "--benchmark", "--profile", "--metric"}
#: A score of runs, and a column of a table to train on.
_SPECIFIC |= {"--target"}
#: A loss for both sides of a port, and the user's own loss of a training.
_SPECIFIC |= {"--loss"}
#: Which weights a command takes, and whether a bundle takes them along.
_SPECIFIC |= {"--weights"}
#: Where a run ends, and of a duel the training for which it says what finishes first.
_SPECIFIC |= {"--epochs", "--max-steps"}
#: What is done without asking.
_SPECIFIC |= {"--yes"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("1.5m", 90.0), ("2h", 7200.0), ("0.001", 0.001)]
)
def test_durations_are_seconds_unless_they_carry_a_unit(text, seconds):
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["-5", "nan", "inf", "5min", "5 x", "", "0"])
def test_other_texts_are_no_durations(text):
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


def test_names_are_split_at_commas_outside_of_quotes():
    names = split_names(None, None, ('central,"even, 5 epochs"', " skewed,central"))
    assert names == ["central", "even, 5 epochs", "skewed"]
    for wrong in ("", "a,,b", 'a,"b', "a\nb,\r"):
        with pytest.raises(click.BadParameter):
            split_names(None, None, (wrong,))


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--task 'cnn, mlp' --task rnn,cnn", "tasks", ["cnn", "mlp", "rnn"]),
        ("--threads 1,2 --threads 2,4", "threads", [1, 2, 4]),
        ("", "precisions", ["float32"]),
        ("--b-env A=1 --b-env B=x=y", "b_env", {"A": "1", "B": "x=y"}),
    ],
)
def test_several_values_are_a_list_without_duplicates_and_variables_a_dictionary(words, name, value):
    given = {}

    @click.command()
    @options.tasks
    @options.device
    @run_options.threads
    @run_options.precisions
    @options.timeout
    @options.variables("b", "Variables.")
    def example(**parsed):
        given.update(parsed)
        printing.echo("parsed")

    done = CliRunner().invoke(example, shlex.split(words))
    assert (given[name], done.exit_code) == (value, 0)


def test_an_option_has_one_help_text_in_all_commands():
    texts = defaultdict(set)
    for listed in commands().values():
        command = resolve_name(listed.function)
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.opts[0] not in _SPECIFIC:
                texts[parameter.opts[0]].add(parameter.help)
    assert {option: found for option, found in texts.items() if len(found) > 1} == {}


@pytest.mark.parametrize("rates", [(0.1, 0.2), (0.1,)], ids=["two rates", "one rate"])
def test_the_training_of_an_own_model_is_stated_as_far_as_runs_share_it(snapshot, rates):
    assert own_training_text([MLP.define(MLP.options(learning_rate=rate)) for rate in rates]) == snapshot
