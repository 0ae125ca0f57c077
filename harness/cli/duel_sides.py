"""The sides of a duel, from what each was given on the command line."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec

from harness.cli.side_options import interpreter, variables
from harness.duel.elsewhere import defined_by
from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.workloads import Workload, labelled
from harness.errors import UsageError
from harness.machine.description import default_threads
from harness.plugins.definition import define_task, resized
from harness.plugins.installation import select_backend
from harness.plugins.options import parse_options
from harness.plugins.registry import runs_our_code
from harness.spec.backend import Plan
from harness.spec.task import TaskDefinition
from harness.worker import protocol
from harness.worker.interpreter import installed_harness

_LETTERS = "abcd"
_FEWEST_SIDES = 2
_F = TypeVar("_F", bound=Callable[..., Any])


def side_options(function: _F) -> _F:
    """The options that one side has for itself, ``--b-python`` and so on, for each letter."""
    for letter in reversed(_LETTERS):
        kinds = (
            click.option(f"--{letter}-python", metavar="PATH", hidden=letter != "b",
                         help="Side b's interpreter: another virtual environment."),
            click.option(f"--{letter}-env", multiple=True, metavar="NAME=VALUE", hidden=letter != "b",
                         help="An environment variable of side b's processes; repeatable."),
            click.option(f"--{letter}-set", multiple=True, metavar="KEY=VALUE", hidden=letter != "b",
                         help="batch_size=N for side b alone."),
            click.option(f"--{letter}-threads", type=click.IntRange(min=1, max=1024), hidden=letter != "b",
                         help="Side b's CPU threads."),
            click.option(f"--{letter}-precision", type=click.Choice(["float32", "float64", "bfloat16"]),
                         hidden=letter != "b", help="Side b's arithmetic; a, c, d alike."),
        )  # fmt: skip
        for option in reversed(kinds):
            function = option(function)
    return function


def sides_of(
    names: tuple[str, ...], definition: TaskDefinition, options: Mapping[str, Any]
) -> list[Workload]:
    """The sides that are named, with labels that tell them apart.

    Raises:
        UsageError: there are too few or too many, or what one was given cannot be.
    """
    if not _FEWEST_SIDES <= len(names) <= len(_LETTERS):
        raise UsageError(
            f"a duel takes 2 to {len(_LETTERS)} sides, such as: harness duel torch keras --task cnn"
        )
    _refuse_surplus_letters(len(names), options)
    return labelled(
        [_side(letter, name, definition, options) for letter, name in zip(_LETTERS, names, strict=False)]
    )


def _side(letter: str, name: str, definition: TaskDefinition, options: Mapping[str, Any]) -> Workload:
    def own(kind: str) -> Any:
        return options[f"{letter}_{kind}"]

    python = interpreter(f"--{letter}-python", own("python"))
    environment = variables(f"--{letter}-env", own("env"))
    assignments, batch_size = _without_batch_size(letter, own("set"), options["batch_size"])
    names = protocol.Define(name, definition.name, [*options["assignments"], *assignments])
    if runs_our_code(python, environment):
        defined = _defined_here(definition, names)
    else:
        option = f"--{letter}-python" if own("python") else f"--{letter}-env"
        defined = _defined_elsewhere(option, python, environment, names)
    backend = name.partition(":")[0]
    plan = Plan(
        task=resized(defined.task, batch_size),
        mode=defined.mode,
        device=options["device"],
        precision=own("precision") or options["precision"],
        threads=own("threads") or options["threads"] or default_threads(),
        seed=options["seed"],
    )
    return Workload(
        label=f"{backend}:{defined.mode}",
        backend=backend,
        plan=plan,
        options=defined.options,
        python=python,
        environment=environment,
    )


def _defined_here(definition: TaskDefinition, names: protocol.Define) -> protocol.Defined:
    _, mode = select_backend(names.backend)
    options = parse_options(definition, names.assignments)
    return protocol.Defined(
        define_task(definition, options), msgspec.structs.asdict(options), mode, installed=""
    )


def _defined_elsewhere(
    option: str, python: str, environment: Mapping[str, str], names: protocol.Define
) -> protocol.Defined:
    installed_harness(option, python, environment)
    try:
        defined = defined_by(names.backend, python, environment, names)
    except ConfigurationFailed as error:
        raise UsageError(f"{option} {python}: {error.reason}") from error
    if defined.installed:
        raise UsageError(f"{option} {python}: {defined.installed}")
    return defined


def _without_batch_size(
    letter: str, assignments: tuple[str, ...], batch_size: int | None
) -> tuple[list[str], int | None]:
    """The batch size is no option of a task, but a side may have its own."""
    rest = []
    for text in assignments:
        key, _, value = text.partition("=")
        if key != "batch_size":
            rest.append(text)
        elif value.isdecimal() and int(value) > 0:
            batch_size = int(value)
        else:
            raise UsageError(f"--{letter}-set {text}: batch_size takes a whole number > 0.")
    return rest, batch_size


def _refuse_surplus_letters(sides: int, options: Mapping[str, Any]) -> None:
    for letter in _LETTERS[sides:]:
        for kind in ("python", "env", "set", "threads", "precision"):
            if options[f"{letter}_{kind}"]:
                raise UsageError(f"--{letter}-{kind} is of a side that is not there: {sides} were given")
