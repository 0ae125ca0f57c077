"""The workloads of a duel, from its arguments and the options of each configuration."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec

from harness.core.machine.description import default_threads
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task, resized
from harness.core.plugins.options import parse_options
from harness.core.plugins.registry import runs_our_code
from harness.core.plugins.selection import ALL, select_backend
from harness.core.shell import options as shared
from harness.core.shell.own_model import is_model
from harness.core.shell.parameters import each_once
from harness.core.worker import protocol
from harness.core.worker.interpreter import installed_harness
from harness.errors import UsageError
from harness.spec.task import TaskDefinition
from harness.timing.engine.sessions import ConfigurationFailed, defined_by
from harness.timing.engine.workloads import Workload

LETTERS = "abcd"
_KINDS = ("python", "env", "batch_size", "threads", "precision", "set")
_FEWEST = 2
_F = TypeVar("_F", bound=Callable[..., Any])


def configuration_options(function: _F) -> _F:
    """Add the options of one configuration alone, ``--b-python`` and so on, for each letter."""
    for letter in reversed(LETTERS):
        of, hidden = f"--{letter}-", letter != "b"
        function = shared.together(
            shared.python(
                letter,
                "Interpreter of the second configuration, in another virtual environment.",
                hidden=hidden,
            ),
            shared.variables(
                letter, "Environment variable for the second configuration; repeatable.", hidden=hidden
            ),
            shared.number(
                f"{of}batch-size", text="Samples per step of the second configuration.", hidden=hidden
            ),
            shared.number(
                f"{of}threads",
                most=shared.MOST_THREADS,
                text="CPU threads of the second configuration.",
                hidden=hidden,
            ),
            shared.choice(
                f"{of}precision",
                of=shared.PRECISIONS,
                text="Floating-point arithmetic of the second configuration.",
                hidden=hidden,
            ),
            click.option(
                f"{of}set",
                multiple=True,
                metavar="KEY=VALUE",
                hidden=hidden,
                callback=_only_privacy,
                help="Option of DP-SGD of the second configuration, such as dp_clip=1; repeatable.",
            ),
        )(function)
    return function


def _only_privacy(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse options that change more than the privacy of gradients."""
    for text in texts:
        if not text.startswith(_PRIVATE):
            option = parameter.opts[0]
            raise UsageError(
                f"{option} {text}: use {option.removesuffix('-set')}-batch-size N for the batch size. Task "
                "options other than those of DP-SGD are the same for all configurations: use --set."
            )
    return each_once(ctx, parameter, texts)


#: How the options of DP-SGD begin.
_PRIVATE = "dp_"


def check_number_of_configurations(
    _ctx: click.Context, _parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse too few or too many configurations, before missing options are reported.

    The number of configurations in ``torch:*`` is known once the plugins are loaded.
    """
    one_may_do = any(_stands_for_several(name) or is_model(name) for name in names)
    if not _FEWEST <= len(names) <= len(LETTERS) and not one_may_do:
        raise UsageError(
            f"a duel takes {_FEWEST} to {len(LETTERS)} configurations, such as: "
            "harness duel torch keras --task cnn"
        )
    return names


def choices_of(
    names: tuple[str, ...], definition: TaskDefinition, options: Mapping[str, Any]
) -> list[list[Workload]]:
    """Return the workload of each configuration with these names; for ``best`` in every mode.

    Raises:
        UsageError: an option of one is wrong, or there are too many.
    """
    names = tuple(each for name in names for each in _expanded(name))
    if len(names) > len(LETTERS) or len(names) < _FEWEST:
        raise UsageError(
            f"a duel takes {_FEWEST} to {len(LETTERS)} configurations, and these are {len(names)}: "
            f"{', '.join(names)}"
        )
    refuse_surplus_letters(len(names), options)
    return [_choice(letter, name, definition, options) for letter, name in zip(LETTERS, names, strict=False)]


def _stands_for_several(name: str) -> bool:
    return name.endswith(f":{ALL}")


def _expanded(name: str) -> list[str]:
    if not _stands_for_several(name):
        return [name]
    backend = select_backend(name).backend
    return [f"{backend.name}:{mode}" for mode in backend.modes]


def _choice(letter: str, name: str, definition: TaskDefinition, options: Mapping[str, Any]) -> list[Workload]:
    own = {kind: options[f"{letter}_{kind}"] for kind in _KINDS}
    python, variables = own["python"] or sys.executable, own["env"]
    question = protocol.Define(name, definition.name, [*options["assignments"], *own["set"]])
    if runs_our_code(python, variables):
        given = parse_options(definition, question.assignments)
        task, values = define_task(definition, given), msgspec.structs.asdict(given)
        (modes,) = select_backend(name).choices(task)
    else:
        option = f"--{letter}-python" if own["python"] else f"--{letter}-env"
        defined = _defined_elsewhere(option, python, variables, question)
        task, values, modes = defined.task, defined.options, (defined.mode,)
    configurations = [
        Configuration(
            backend=name.partition(":")[0],
            mode=mode,
            device=options["device"],
            threads=own["threads"] or options["threads"] or default_threads(),
            precision=own["precision"] or options["precision"],
            python=python,
            variables=tuple(variables.items()),
        )
        for mode in modes
    ]
    return [
        Workload(
            label=configuration.label,
            configuration=configuration,
            task=resized(task, own["batch_size"] or options["batch_size"]),
            options=values,
            seed=options["seed"],
        )
        for configuration in configurations
    ]


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


def refuse_surplus_letters(count: int, options: Mapping[str, Any]) -> None:
    """Raise UsageError for an option of a configuration beyond the ``count`` configurations."""
    for letter in LETTERS[count:]:
        for kind in _KINDS:
            if options[f"{letter}_{kind}"]:
                option = f"--{letter}-{kind.replace('_', '-')}"
                raise UsageError(
                    f"{option} is for configuration {LETTERS.index(letter) + 1}, but only {count} are given"
                )
