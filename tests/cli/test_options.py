"""The shared options: parsing, refusals, and one wording in every command."""

import importlib
from collections import defaultdict

import click
import pytest
from click.testing import CliRunner

from harness.cli import _COMMANDS, options, printing, run
from harness.cli.options import DURATION
from harness.cli.run import _training_text as own_training_text
from harness.errors import UsageError
from harness_tasks.mlp import MLP

#: Options whose help names what they are for in that command.
_SPECIFIC = {"--task", "--to", "--budget", "--backend", "--verbose", "--precision", "--turns"}
#: ``run`` takes several values of these.
_SPECIFIC |= {"--set", "--threads", "--batch-size"}
#: Of steps of a user's own they mean the seed that is set, and the time for one answer.
_SPECIFIC |= {"--seed", "--timeout"}
_SPECIFIC |= {"--within", "--benchmark", "--profile", "--metric"}


@click.command()
@options.tasks
@options.device
@run.threads
@run.precisions
@options.timeout
@options.variables("b", "Variables.")
def example(**given):
    printing.echo(str(given))


def run(*arguments):
    return CliRunner().invoke(example, arguments)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("1.5m", 90.0), ("2h", 7200.0), ("0.001", 0.001)]
)
def test_durations_are_seconds_unless_they_carry_a_unit(text, seconds):
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["-5", "nan", "inf", "5min", "5 x", "", "0"])
def test_other_texts_are_no_durations(text):
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


def test_names_are_split_at_commas_and_kept_once():
    assert "'tasks': ['cnn', 'mlp', 'rnn']" in run("--task", "cnn, mlp", "--task", "rnn,cnn").stdout


def test_several_values_are_a_list_without_duplicates():
    done = run("--threads", "1, 2", "--threads", "2,4")
    assert "'threads': [1, 2, 4]" in done.stdout
    assert "'precisions': ['float32']" in done.stdout


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--threads", "1,0", "0 is not in the range"),
        ("--threads", "1,", "'' is not a valid integer"),
        ("--precision", "float32,half", "'half' is not one of 'float32', 'float64', 'bfloat16'"),
    ],
)
def test_one_bad_value_of_several_is_named(option, text, message):
    done = run(option, text)
    assert done.exit_code == 2
    assert message in done.stderr


def test_variables_are_a_dictionary():
    assert "'b_env': {'A': '1', 'B': 'x=y'}" in run("--b-env", "A=1", "--b-env", "B=x=y").stdout


@pytest.mark.parametrize(("text", "message"), [("A", "write NAME=VALUE"), ("=1", "write NAME=VALUE")])
def test_other_texts_are_no_variables(text, message):
    with pytest.raises(UsageError, match=message):
        options.parse_variable("--b-env", text)


def test_an_option_has_one_help_text_in_all_commands():
    texts = defaultdict(set)
    for name in _COMMANDS:
        command = importlib.import_module(f"harness.cli.{name}").command
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.opts[0] not in _SPECIFIC:
                texts[parameter.opts[0]].add(parameter.help)
    assert {option: found for option, found in texts.items() if len(found) > 1} == {}


def test_the_training_of_an_own_model_is_stated_as_far_as_runs_share_it():
    tasks = [MLP.define(MLP.options(learning_rate=rate)) for rate in (0.1, 0.2)]
    text = own_training_text(tasks)
    assert text.startswith("Training with optimizer adam, batch size 100, 167 epochs (")
    assert "learning rate 0.1, batch size 100" in own_training_text(tasks[:1])
