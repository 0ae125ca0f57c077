"""Steps of the user's own on the command line: the options that describe steps, and their workloads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.core.plugins.selection import ALL, select_backend
from harness.core.shell import options as shared
from harness.core.shell.parameters import DURATION, WholeNumber, each_once
from harness.errors import UsageError
from harness.spec.backend import Precision
from harness.timing.engine.asked import Asked
from harness.timing.engine.steps.own import OwnStep, labelled_steps
from harness.timing.engine.steps.process import StepTarget, is_this_interpreter, parsed_arguments
from harness.timing.engine.steps.task_step import PREDICTION

_OF_TASKS = ("batch_size", "precision", "private")
_MOST = 4


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
    help="Seed that is set before a step of your own is made; "
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


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """The values of the options that describe a step: :data:`step_options`, and the options beside them."""

    arguments: tuple[str, ...]
    samples: int | None
    timeout: float | None
    device: str
    threads: int | None
    seed: int | Literal["own"]

    @property
    def of_own_steps(self) -> list[str]:
        """The names of those of :data:`step_options` that are given."""
        values = {"--with": self.arguments, "--samples": self.samples, "--timeout": self.timeout}
        return [name for name, value in values.items() if value]

    def task_seed(self) -> int:
        """Return the seed of a task."""
        if isinstance(self.seed, str):
            raise UsageError("--seed own is for steps of your own; give a number")
        return self.seed


def step_workload(asked: Asked, arguments: Mapping[str, Any], options: StepOptions) -> OwnStep:
    """Return the step of a factory with these arguments."""
    asked.refuse(_OF_TASKS, "is for tasks; give arguments of a step with --with NAME=VALUE")
    return _workload(asked, arguments, options.samples, options)


def _workload(
    asked: Asked, arguments: Mapping[str, Any], samples: int | None, options: StepOptions
) -> OwnStep:
    place, _, factory = asked.name.rpartition(":")
    seed = None if isinstance(options.seed, str) else options.seed
    target = StepTarget(
        target=asked.name,
        arguments=dict(arguments),
        folder=str(Path.cwd()),
        installed_first=not is_this_interpreter(asked.interpreter),
        seed=seed,
    )
    label = f"{Path(place).name}:{factory}" if place.endswith(".py") else asked.name
    return OwnStep(
        label=label,
        configuration=asked.configuration("", "", options.device, options.threads),
        target=target,
        samples=samples,
        timeout_seconds=options.timeout,
    )


#: ``--operation`` of commands that take tasks.
operation = shared.choice(
    "--operation",
    of=("train", "predict"),
    default="train",
    text="What is timed of a task: training steps, or predictions of test inputs, one batch a call.",
)


@dataclass(frozen=True, kw_only=True)
class WorkOptions(StepOptions):
    """The values of the options that describe a step, or the work of a task."""

    operation: Literal["train", "predict"]
    task: str | None
    dataset: str | None
    assignments: tuple[str, ...]
    precision: Precision


def prediction_workload(
    asked: Asked, task_name: str, batch_size: int, options: WorkOptions, dataset: str
) -> OwnStep:
    """Return the predictions of a task by a backend, ``torch`` or ``torch:compile``."""
    seed = options.task_seed()
    if own := [option for option in options.of_own_steps if option != "--timeout"]:
        raise UsageError(f"{own[0]} is for steps of your own; options of the task are given by --set")
    selection = select_backend(asked.name)
    if selection.written == ALL:
        raise UsageError(f"{asked.name}: predictions need a mode; harness list backends shows them")
    definition, assignments = registry.task(task_name), [*options.assignments, *asked.private]
    task = define_task(definition, parse_options(definition, assignments))
    label = f"{selection.backend.name}:{selection.mode(task)}"
    configuration = asked.configuration("", "", options.device, options.threads, options.precision)
    arguments = {
        "backend": label,
        "task": task_name,
        "batch_size": batch_size,
        "options": assignments,
        "dataset": dataset,
        "device": configuration.device,
        "precision": configuration.precision,
        "threads": configuration.threads,
        "seed": seed,
    }
    step = msgspec.structs.replace(asked, name=PREDICTION)
    return msgspec.structs.replace(_workload(step, arguments, batch_size, options), label=label)


def step_workloads(every: Sequence[Asked], options: StepOptions) -> list[OwnStep]:
    """Return the steps of a duel: two or more factories, or one with several sets of arguments."""
    sets, steps = parsed_arguments(options.arguments), [*every]
    if len(steps) == 1:
        steps *= len(sets)
    if len(steps) == 1:
        name = steps[0].name
        raise UsageError(
            f'a duel compares two or more: give a second factory, settings of the same one, "{name} '
            'threads=1", or an argument with several values, such as --with batch_size=32,64. To time it '
            f"alone: harness time {name}"
        )
    if len(sets) == 1:
        sets *= len(steps)
    if not len(sets) == len(steps) <= _MOST:
        raise UsageError(
            f"{len(steps)} factories and {len(sets)} sets of arguments: give as many values as factories, at "
            f"most {_MOST}"
        )
    return labelled_steps(
        [step_workload(asked, arguments, options) for asked, arguments in zip(steps, sets, strict=True)]
    )
