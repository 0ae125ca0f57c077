"""Every option that more than one command has, as a decorator: one name, one type and one wording each.

Use it as ``from harness.cli import options`` and ``@options.dataset``. A decorator with parentheses, such
as ``@options.seeds(default=5)``, takes what may differ between commands.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.cli import completion
from harness.cli.durations import DURATION
from harness.cli.plugin_files import plugin_option
from harness.errors import UsageError
from harness.machine.cpus import WORKER_CPUS
from harness.machine.processes import program
from harness.runs.store import DEFAULT_RESULTS
from harness.spec.backend import DEVICE_PATTERN

_F = TypeVar("_F", bound=Callable[..., Any])


class WholeNumber(click.IntRange):
    """An integer in a range; its errors say "integer" instead of "integer range"."""

    name = "integer"


PRECISION = click.Choice(["float32", "float64", "bfloat16"])
THREADS = WholeNumber(min=1, max=1024)


def split_names(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """``a,b c`` and ``--task a,b --task c`` give a, b, c; duplicates are dropped."""
    return list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))


def check_finite(_ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse ``nan`` and ``inf``, which click accepts as numbers."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.", param=parameter)
    return value


def check_device(_ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Refuse what is no device."""
    if not re.match(DEVICE_PATTERN, value):
        raise click.BadParameter(f"{value!r} is not a device. Write auto, cpu, cuda or cuda:N.")
    return value


# What is run.

tasks = click.option(
    "--task",
    "tasks",
    multiple=True,
    callback=split_names,
    shell_complete=completion.TASKS,
    metavar="NAME",
    help="Task. Repeat the option or separate names with commas. `harness list tasks` lists them.",
)


def task(default: str | None = None, *, required: bool = True) -> Callable[[_F], _F]:
    """One task as ``task``; required unless there is a default, or the command asks for it by itself."""
    # Given as None, a default would count as a value, and click would not ask for the option.
    presence: dict[str, Any] = {"required": required} if default is None else {"default": default}
    return click.option(
        "--task",
        **presence,
        show_default=default is not None,
        shell_complete=completion.TASKS,
        metavar="NAME",
        help="Task. `harness list tasks` lists them.",
    )


def backends(*, required: bool = False) -> Callable[[_F], _F]:
    """One or more backends as ``backends``."""
    return click.option(
        "--backend",
        "backends",
        multiple=True,
        required=required,
        callback=split_names,
        shell_complete=completion.BACKENDS,
        metavar="NAME[:MODE]",
        help="Backend, such as torch or torch:compile; torch:* is all its modes. Repeat the option or "
        "separate names with commas.",
    )


dataset = click.option(
    "--dataset",
    shell_complete=completion.DATASETS,
    metavar="NAME",
    help="Data set. It is an error if it cannot be obtained. Default: the task's own, or a stand-in, "
    "which is reported, if the task's own cannot be obtained.",
)
assignments = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Task option, such as learning_rate=0.05; repeatable. `harness list tasks` lists them.",
)
epochs = click.option(
    "--epochs",
    type=WholeNumber(min=1),
    metavar="N",
    help="Passes over the training data. Default: the task's.",
)
max_steps = click.option(
    "--max-steps", type=WholeNumber(min=1), metavar="N", help="Stop training after N steps."
)
batch_size = click.option(
    "--batch-size", type=WholeNumber(min=1), metavar="N", help="Samples per step. Default: the task's."
)
seed = click.option(
    "--seed",
    type=WholeNumber(min=0, max=2**31 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of the initial weights, the batch order and the random inputs.",
)


def seeds(default: int | None = None) -> Callable[[_F], _F]:
    """A number of seeds as ``seeds``."""
    return click.option(
        "--seeds",
        type=WholeNumber(min=1, max=10_000),
        default=default,
        show_default=default is not None,
        metavar="N",
        help="Number of seeds: 0 to N-1.",
    )


# Where and how it is run.

device = click.option(
    "--device",
    default="auto",
    callback=check_device,
    show_default=True,
    metavar="DEVICE",
    help="auto, cpu, cuda or cuda:N. auto is the first GPU, or the CPU if there is none.",
)
precision = click.option(
    "--precision",
    default="float32",
    show_default=True,
    type=PRECISION,
    help="Floating-point arithmetic. bfloat16 is mixed precision.",
)
threads = click.option(
    "--threads", type=THREADS, metavar="N", help="CPU threads. Default: the number of physical cores."
)
certify = click.option(
    "--certify/--no-certify",
    default=True,
    show_default=True,
    help="First check that each backend agrees with the reference in float64. The certificate is cached.",
)
timeout = click.option(
    "--timeout",
    type=DURATION,
    metavar="DURATION",
    help="Abort a run or a certification after this time, such as 90s or 5m. Default: no limit; a worker "
    "that is silent for 10 minutes is killed. A longer timeout also allows a longer silence.",
)
plugin = plugin_option()
#: For commands whose arguments name data sets.
plugin_of_datasets = plugin_option({"name": "dataset", "names": "dataset"}, unnamed_means_all=True)
#: For duels, whose argument names backends with their modes.
plugin_of_configurations = plugin_option({"names": "backend", "task": "task", "dataset": "dataset"})
#: For commands that take every installed backend and task where none is named.
plugin_of_all = plugin_option(unnamed_means_all=True)


def budget(text: str, default: str | None = None) -> Callable[[_F], _F]:
    """A time limit as ``budget``, in seconds; ``default`` is written as on the command line."""
    return click.option(
        "--budget",
        type=DURATION,
        default=default,
        show_default=default is not None,
        metavar="DURATION",
        help=text,
    )


def python(name: str, text: str, *, hidden: bool = False) -> Callable[[_F], _F]:
    """``--NAME-python`` as ``NAME_python``: the absolute path of an interpreter, or None."""

    def find(_ctx: click.Context, _parameter: click.Parameter, path: str | None) -> str | None:
        return None if path is None else program(f"--{name}-python", path)

    return click.option(f"--{name}-python", callback=find, metavar="PATH", hidden=hidden, help=text)


def variables(name: str, text: str, *, hidden: bool = False) -> Callable[[_F], _F]:
    """``--NAME-env NAME=VALUE`` as ``NAME_env``: a dictionary of environment variables."""
    option = f"--{name}-env"

    def parse(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
        return dict(parse_variable(option, assignment) for assignment in texts)

    return click.option(option, multiple=True, callback=parse, metavar="NAME=VALUE", hidden=hidden, help=text)


def parse_variable(option: str, assignment: str) -> tuple[str, str]:
    """``NAME=VALUE`` as a pair.

    Raises:
        UsageError: the text has another form, or names a variable that the harness sets.
    """
    name, sign, value = assignment.partition("=")
    if not sign or not name:
        raise UsageError(f"{option} {assignment}: write NAME=VALUE, for example TF_ENABLE_ONEDNN_OPTS=0.")
    if name == WORKER_CPUS:
        raise UsageError(f"{option} {assignment}: the harness sets this variable; use --threads.")
    return name, value


# What is read, written and printed.

results = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_RESULTS,
    show_default=True,
    help="Folder of the records.",
)
form = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output format. json prints one JSON document on standard output.",
)
quiet = click.option("--quiet", is_flag=True, help="Print the result only, no progress.")


def verbose(text: str) -> Callable[[_F], _F]:
    """A flag as ``verbose``; ``text`` names what is printed in addition."""
    return click.option("--verbose", is_flag=True, help=text)
