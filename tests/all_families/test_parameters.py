"""The parameters of every command: which texts each refuses, whatever the command."""

import os

import click
import pytest
from support.damage import called

from harness.core.shell.main import cli
from harness.core.shell.parameters import Duration, Number, WholeNumber
from harness.core.shell.paths import InputFile
from harness.core.shell.run_options import Several
from harness.errors import UsageError


def every_command(group=cli, words=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*words, name))
        else:
            yield (*words, name), command


COMMANDS = dict(every_command())
EVERY = {
    f"{' '.join(words)} {parameter.opts[0]}": (words, parameter)
    for words, command in COMMANDS.items()
    for parameter in command.params
}
OPTIONS = {name: each for name, each in EVERY.items() if isinstance(each[1], click.Option)}


def of(condition):
    """The names of the parameters that meet a condition, of all commands, for ``parametrize``."""
    return [name for name, (_, parameter) in EVERY.items() if condition(parameter)]


def refused(name, text):
    """Whether a parameter refuses a text by itself, without the command."""
    words, parameter = EVERY[name]
    context = click.Context(COMMANDS[words])
    many = parameter.multiple or parameter.nargs == -1
    try:
        parameter.process_value(context, (text,) if many else text)
    except (click.BadParameter, UsageError):
        return True
    return False


def number_type(parameter):
    kind = parameter.type
    return kind._each if isinstance(kind, Several) else kind


def is_number(parameter):
    is_percentage = parameter.metavar in {"PERCENT", "N", "N[,N]"}
    return isinstance(number_type(parameter), WholeNumber | Number | Duration) or is_percentage


#: A score, such as a log-likelihood, has any sign.
ANY_SIGN = {"report --target", "compare --target"}
WITH_ZERO = {name for name in EVERY if name.endswith(" --seed")} | ANY_SIGN


@pytest.mark.parametrize("name", of(is_number))
def test_a_number_is_finite_and_in_its_range(name):
    texts = {"nan", "inf", "-inf", "1e999", "x", "nan%", "inf%", "-1", "-1%", "0", "0%", "-0.0"}
    if name in WITH_ZERO:
        texts -= {"0", "-0.0"}
    if name in ANY_SIGN:
        texts -= {"-1"}
    assert {text for text in texts if not refused(name, text)} == set()
    assert not isinstance(number_type(EVERY[name][1]), WholeNumber) or refused(name, str(2**31))


def test_no_parameter_has_a_type_that_takes_any_number_or_any_file():
    loose = (click.types.FloatParamType, click.types.IntParamType, click.File)
    own = (WholeNumber, Number, InputFile)

    def is_loose(parameter):
        kind = parameter.type
        opens = isinstance(kind, click.Path) and kind.exists
        return (isinstance(kind, loose) or opens) and not isinstance(kind, own)

    assert of(is_loose) == []


@pytest.mark.parametrize("name", of(lambda parameter: isinstance(parameter.type, InputFile)))
def test_a_file_is_neither_a_pipe_nor_a_device(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_PLUGIN_FILES", "")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 2**41)  # a hole
    texts = {str(tmp_path / each) for each in ("pipe", "device", "large", "missing")}
    assert {text for text in texts if not refused(name, text)} == set()


def is_list(parameter):
    return parameter.multiple and "[," in (parameter.metavar or "") and "=" not in parameter.metavar


@pytest.mark.parametrize("name", of(is_list))
def test_a_list_has_no_empty_parts(name):
    assert [text for text in ("", ",", "a,", ",a", "a,,b") if not refused(name, text)] == []


def is_assignment(parameter):
    return parameter.multiple and (parameter.metavar or "").endswith(("NAME=VALUE", "KEY=VALUE", "LOW:HIGH"))


@pytest.mark.parametrize("name", of(is_assignment))
def test_a_name_is_assigned_once(name):
    words, parameter = EVERY[name]
    twice = ["dp_clip=1", "dp_noise=1", "dp_clip=2"]
    with pytest.raises(click.BadParameter, match="dp_clip is given twice"):
        parameter.process_value(click.Context(COMMANDS[words]), twice)


def keeps_last(option):
    return not option.multiple and (not option.is_flag or option.secondary_opts) and not option.count


def test_an_option_of_one_value_is_given_once():
    accepted = []
    for name, (words, option) in OPTIONS.items():
        if keeps_last(option):
            value = () if option.is_flag else ("x",)
            again = (option.secondary_opts or option.opts)[0]
            answer = called(*words, option.opts[0], *value, again, *value)
            if answer[0] != 2 or not answer[1].endswith("is given twice; give it once.\n"):
                accepted.append((name, answer))
    assert accepted == []


def test_no_value_is_empty():
    accepted = []
    for name, (words, parameter) in EVERY.items():
        if not getattr(parameter, "is_flag", False):
            is_option = isinstance(parameter, click.Option)
            before = parameter.opts[:1] if is_option else ["x"] * _place(words, parameter)
            answer = called(*words, *before, " ")
            if answer[0] != 2 or not answer[1].endswith("it is empty."):
                accepted.append((name, answer))
    assert accepted == []


def _place(words, parameter):
    arguments = [each for each in COMMANDS[words].params if isinstance(each, click.Argument)]
    return arguments.index(parameter)


def test_a_flag_may_be_repeated():
    _, output = called("run", "--quiet", "--quiet", "--task", "mlp", "--backend", "nope")
    assert "unknown backend" in output


@pytest.mark.parametrize(
    "line",
    [
        "bisect --package=--help --good 1 --bad 2 --step bench.py:make",
        "bisect --package torch --good=--help --bad 2 --step bench.py:make",
        "upgrade torch==1 torch==2 --install=-rfile --task mlp",
    ],
)
def test_a_name_that_looks_like_an_option_reaches_no_program(line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("subprocess.Popen", None)
    code, output = called(*line.split())
    assert code == 2, output
