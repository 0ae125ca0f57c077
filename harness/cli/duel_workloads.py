"""The workloads of a duel, from its arguments and the options of each configuration."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec

from harness.cli import options as shared
from harness.duel.conduct import defined_by
from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.workloads import Workload
from harness.errors import UsageError
from harness.machine.description import default_threads
from harness.plugins.configuration import Configuration
from harness.plugins.definition import define_task, resized
from harness.plugins.options import parse_options
from harness.plugins.registry import runs_our_code
from harness.plugins.selection import ALL, BEST, select_backend
from harness.spec.task import TaskDefinition
from harness.worker import protocol
from harness.worker.interpreter import installed_harness

_LETTERS = "abcd"
_KINDS = ("python", "env", "batch_size", "threads", "precision")
_FEWEST = 2
_F = TypeVar("_F", bound=Callable[..., Any])


def configuration_options(function: _F) -> _F:
    """The options of one configuration alone, ``--b-python`` and so on, for each letter."""
    for letter in reversed(_LETTERS):
        hidden = letter != "b"
        kinds = (
            shared.python(
                letter,
                "Interpreter of the second configuration, in another virtual environment.",
                hidden=hidden,
            ),
            shared.variables(
                letter, "Environment variable for the second configuration; repeatable.", hidden=hidden
            ),
            click.option(
                f"--{letter}-batch-size",
                type=click.IntRange(min=1),
                metavar="N",
                hidden=hidden,
                help="Samples per step of the second configuration.",
            ),
            click.option(
                f"--{letter}-threads",
                type=shared.THREADS,
                metavar="N",
                hidden=hidden,
                help="CPU threads of the second configuration.",
            ),
            click.option(
                f"--{letter}-precision",
                type=shared.PRECISION,
                hidden=hidden,
                help="Floating-point arithmetic of the second configuration.",
            ),
            click.option(
                f"--{letter}-set", multiple=True, hidden=True, expose_value=False, callback=_refuse_set
            ),
        )
        for option in reversed(kinds):
            function = option(function)
    return function


def _refuse_set(_ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> None:
    if texts:
        option = parameter.opts[0]
        raise UsageError(
            f"{option} {texts[0]}: use {option.removesuffix('-set')}-batch-size N for the batch size. Task "
            "options are the same for all configurations: use --set."
        )


def check_number_of_configurations(
    _ctx: click.Context, _parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse too few or too many configurations, before options that are missing are reported.

    How many ``torch:*`` is is known when the plugins are loaded.
    """
    if not _FEWEST <= len(names) <= len(_LETTERS) and not any(map(_stands_for_several, names)):
        raise UsageError(
            f"a duel takes {_FEWEST} to {len(_LETTERS)} configurations, such as: "
            "harness duel torch keras --task cnn"
        )
    return names


def workloads_of(
    names: tuple[str, ...], definition: TaskDefinition, options: Mapping[str, Any]
) -> list[Workload]:
    """The workloads of the configurations with these names; the mode may be ``best``.

    Raises:
        UsageError: an option of one is wrong, or there are too many.
    """
    names = tuple(each for name in names for each in _expanded(name))
    if len(names) > len(_LETTERS) or len(names) < _FEWEST:
        raise UsageError(
            f"a duel takes {_FEWEST} to {len(_LETTERS)} configurations, and these are {len(names)}: "
            f"{', '.join(names)}"
        )
    _refuse_surplus_letters(len(names), options)
    return [
        _workload(letter, name, definition, options) for letter, name in zip(_LETTERS, names, strict=False)
    ]


def _stands_for_several(name: str) -> bool:
    return name.endswith(f":{ALL}")


def _expanded(name: str) -> list[str]:
    if not _stands_for_several(name):
        return [name]
    backend = select_backend(name).backend
    return [f"{backend.name}:{mode}" for mode in backend.modes]


def _workload(letter: str, name: str, definition: TaskDefinition, options: Mapping[str, Any]) -> Workload:
    own = {kind: options[f"{letter}_{kind}"] for kind in _KINDS}
    python, variables = own["python"] or sys.executable, own["env"]
    question = protocol.Define(name, definition.name, options["assignments"])
    if runs_our_code(python, variables):
        defined = _defined_here(definition, question)
    else:
        option = f"--{letter}-python" if own["python"] else f"--{letter}-env"
        defined = _defined_elsewhere(option, python, variables, question)
    configuration = Configuration(
        backend=name.partition(":")[0],
        mode=defined.mode,
        device=options["device"],
        threads=own["threads"] or options["threads"] or default_threads(),
        precision=own["precision"] or options["precision"],
        python=python,
        variables=tuple(variables.items()),
    )
    return Workload(
        label=configuration.label,
        configuration=configuration,
        task=resized(defined.task, own["batch_size"] or options["batch_size"]),
        options=defined.options,
        seed=options["seed"],
    )


def _defined_here(definition: TaskDefinition, question: protocol.Define) -> protocol.Defined:
    selection = select_backend(question.backend)
    options = parse_options(definition, question.assignments)
    task = define_task(definition, options)
    mode = BEST if selection.written == BEST else selection.mode(task)
    return protocol.Defined(task, msgspec.structs.asdict(options), mode, installed="")


def _defined_elsewhere(
    option: str, python: str, variables: Mapping[str, str], question: protocol.Define
) -> protocol.Defined:
    installed_harness(option, python, variables)
    try:
        defined = defined_by(question.backend, python, variables, question)
    except ConfigurationFailed as error:
        raise UsageError(f"{option} {python}: {error.reason}") from error
    if defined.installed:
        raise UsageError(f"{option} {python}: {defined.installed}")
    return defined


def _refuse_surplus_letters(count: int, options: Mapping[str, Any]) -> None:
    for letter in _LETTERS[count:]:
        for kind in _KINDS:
            if options[f"{letter}_{kind}"]:
                option = f"--{letter}-{kind.replace('_', '-')}"
                raise UsageError(
                    f"{option} is for configuration {_LETTERS.index(letter) + 1}, but only {count} are given"
                )
