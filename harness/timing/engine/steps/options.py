"""Steps of the user's own on the command line: the options that describe steps, and their workloads."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.core.machine.description import default_threads
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.core.plugins.selection import ALL, BEST, select_backend
from harness.core.shell import options as shared
from harness.core.shell.parameters import DURATION, WholeNumber, each_once
from harness.errors import UsageError
from harness.timing.engine.steps.own import OwnStep, labelled_steps
from harness.timing.engine.steps.process import StepTarget, is_this_interpreter, parsed_arguments
from harness.timing.engine.steps.task_step import PREDICTION

_LETTERS = "abcd"
_OF_TASKS = ("batch_size", "precision")


class _Seed(WholeNumber):
    """A seed, or ``own``: a step sets its own seed."""

    name = "seed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or the text ``own``."""
        return OWN_SEED if value == OWN_SEED else super().convert(value, param, ctx)


OWN_SEED = "own"
#: ``--seed`` of commands that take steps.
seed_of_steps = click.option(
    "--seed",
    type=_Seed(least=0),
    default=0,
    show_default=True,
    metavar="N|own",
    help="Seed that is set before a step of your own is made (in pairs that are compared, a new one each); "
    "own: your code sets its seeds. Of a task, the seed of the initial weights, the batch order and the "
    "random inputs.",
)


#: ``--with``, ``--samples`` and ``--timeout``.
step_options = shared.together(
    click.option(
        "--with",
        "arguments",
        multiple=True,
        callback=each_once,
        metavar="NAME=VALUE",
        help="Argument of the factory of a step of your own; repeatable.",
    ),
    shared.number(
        "--samples",
        text="Samples of one call of a step of your own, for samples/s. Default: the step's attribute "
        "samples, if it has one.",
    ),
    click.option(
        "--timeout",
        type=DURATION,
        metavar="DURATION",
        help="Kill the process of a step of your own that does not answer for this time, such as 30s, "
        "while it makes the step or a block of calls. Default: 10 minutes.",
    ),
)


def step_workload(
    name: str, arguments: Mapping[str, Any], options: Mapping[str, Any], letter: str
) -> OwnStep:
    """Return the step of a factory; ``letter`` names the options of one configuration."""
    variables = options.get(f"{letter}_env") or {}
    configuration = Configuration(
        backend="",
        mode="",
        device=options["device"],
        threads=options.get(f"{letter}_threads") or options["threads"] or default_threads(),
        python=options.get(f"{letter}_python") or sys.executable,
        variables=tuple(variables.items()),
    )
    place, _, factory = name.rpartition(":")
    seed = None if options["seed"] == OWN_SEED else options["seed"]
    target = StepTarget(
        target=name,
        arguments=dict(arguments),
        folder=str(Path.cwd()),
        installed_first=not is_this_interpreter(configuration.python),
        seed=seed,
    )
    label = f"{Path(place).name}:{factory}" if place.endswith(".py") else name
    return OwnStep(
        label=label,
        configuration=configuration,
        target=target,
        samples=options["samples"],
        timeout_seconds=options["timeout"],
    )


#: ``--operation`` of commands that take tasks.
operation = shared.choice(
    "--operation",
    of=("train", "predict"),
    default="train",
    text="What is timed of a task: training steps, or predictions of test inputs, one batch a call.",
)


def prediction_workload(
    name: str, batch_size: int, options: Mapping[str, Any], letter: str, dataset: str
) -> OwnStep:
    """Return the predictions of a task by a backend, ``torch`` or ``torch:compile``.

    Raises:
        UsageError: there is no such backend, or it has no such mode.
    """
    if options["seed"] == OWN_SEED:
        raise UsageError("--seed own is for steps of your own; give a number")
    for option, key in (("--with", "arguments"), ("--samples", "samples")):
        if options.get(key):
            raise UsageError(f"{option} is for steps of your own; options of the task are given by --set")
    selection = select_backend(name)
    if selection.written in {ALL, BEST}:
        raise UsageError(f"{name}: predictions need a mode; harness list backends shows them")
    definition = registry.task(options["task"])
    task = define_task(definition, parse_options(definition, options["assignments"]))
    label = f"{selection.backend.name}:{selection.mode(task)}"
    arguments = {
        "backend": label,
        "task": options["task"],
        "batch_size": batch_size,
        "options": [*options["assignments"]],
        "dataset": dataset,
        "device": options["device"],
        "precision": options.get(f"{letter}_precision") or options["precision"],
        "threads": options.get(f"{letter}_threads") or options["threads"] or default_threads(),
        "seed": options["seed"],
    }
    made = step_workload(PREDICTION, arguments, {**options, "samples": batch_size}, letter)
    return msgspec.structs.replace(made, label=label)


def step_workloads(names: tuple[str, ...], options: Mapping[str, Any]) -> list[OwnStep]:
    """Return the steps of a duel: two or more factories, or one with several arguments or interpreters.

    Raises:
        UsageError: an option is wrong or belongs to tasks, or there is only one step.
    """
    for letter in _LETTERS:
        for kind in _OF_TASKS:
            if options.get(f"{letter}_{kind}"):
                option = f"--{letter}-{kind.replace('_', '-')}"
                raise UsageError(f"{option} is for tasks; give arguments of a step with --with NAME=VALUE")
    sets = parsed_arguments(options["arguments"])
    given = [
        number
        for number, letter in enumerate(_LETTERS, 1)
        if any(options.get(f"{letter}_{kind}") for kind in ("python", "env", "threads"))
    ]
    if len(names) == 1 and len(sets) == 1 and max(given, default=0) > 1:
        names *= max(given)
    elif len(names) == 1:
        names *= len(sets)
    if len(names) == 1:
        raise UsageError(
            f"a duel compares two or more: give a second factory, --b-python or --b-env, or an argument with "
            f"several values, such as --with batch_size=32,64. To time it alone: harness time {names[0]}"
        )
    if len(sets) == 1:
        sets *= len(names)
    if not len(sets) == len(names) <= len(_LETTERS):
        raise UsageError(
            f"{len(names)} factories and {len(sets)} sets of arguments: give as many values as factories, at "
            f"most {len(_LETTERS)}"
        )
    if max(given, default=0) > len(names):
        raise UsageError(f"an option of configuration {max(given)} is given, and there are {len(names)}")
    return labelled_steps(
        [
            step_workload(name, arguments, options, letter)
            for name, arguments, letter in zip(names, sets, _LETTERS, strict=False)
        ]
    )
