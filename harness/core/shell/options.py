"""Options that several commands share, as decorators: one name, type and wording each.

Use it as ``from harness.core.shell import options`` and ``@options.dataset``. A decorator with
parentheses, such as ``@options.turns("Timed blocks.")``, takes the properties that differ between commands.

A command with many parameters takes their values as one object: ``@options.given_as(Given)``. Its class has a
field for each, and inherits those of shared options from classes such as :class:`OutputOptions`.
"""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from harness.core.documents.results import DEFAULT_RESULTS
from harness.core.machine.arguments import program
from harness.core.machine.cpus import WORKER_CPUS
from harness.core.machine.description import default_threads
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.files import name_plugin_files
from harness.core.plugins.selection import select_backend
from harness.core.shell import completion, data_option, features
from harness.core.shell.parameters import (
    DURATION,
    Number,
    WholeNumber,
    each_once,
    split_names,
)
from harness.core.shell.paths import InputFile, OutputFile, UserPath
from harness.core.shell.printing import print_error
from harness.errors import UsageError
from harness.spec.backend import DEVICE_PATTERN, Precision
from harness.spec.task import Task

_F = TypeVar("_F", bound=Callable[..., Any])
_G = TypeVar("_G")


def given_as(kind: type[_G]) -> Callable[[Callable[[click.Context, _G], None]], Callable[..., None]]:
    """Call a command with its context and an object of ``kind``, made of the values of its parameters."""

    def decorate(function: Callable[[click.Context, _G], None]) -> Callable[..., None]:
        @functools.wraps(function)
        def called(**values: Any) -> None:
            function(click.get_current_context(), kind(**values))

        return called

    return decorate


def together(*decorators: Callable[[Any], Any]) -> Callable[[_F], _F]:
    """Join several options in one decorator; the help lists them in this order."""

    def decorate(function: _F) -> _F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


PRECISIONS = ("float32", "float64", "bfloat16")
MOST_THREADS = 1024


def number(
    *names: str, text: str, least: int = 1, most: int | None = None, default: int | None = None, **more: Any
) -> Callable[[_F], _F]:
    """Make an option that takes an integer in a range."""
    more |= {"default": default, "show_default": default is not None, "metavar": "N", "help": text}
    return click.option(*names, type=WholeNumber(least, most), **more)


def choice(
    *names: str, of: Sequence[str], text: str, default: str | None = None, **more: Any
) -> Callable[[_F], _F]:
    """Make an option that takes one of several words."""
    more |= {"default": default, "show_default": default is not None, "help": text}
    return click.option(*names, type=click.Choice(of), **more)


def check_device(_ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Refuse a text that does not name a device."""
    if not re.match(DEVICE_PATTERN, value):
        raise click.BadParameter(f"{value!r} is not a device. Write auto, cpu, cuda or cuda:N.")
    return value


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
    """Take a task as ``task``; required unless there is a default, or the command checks for it."""
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
    """Take one or more backends as ``backends``."""
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


dataset = data_option.dataset
assignments = click.option(
    "--set",
    "assignments",
    multiple=True,
    callback=each_once,
    metavar="KEY=VALUE",
    help="Task option, such as learning_rate=0.05; repeatable. `harness list tasks` lists them.",
)
epochs = number("--epochs", text="Passes over the training data. Default: the task's.")
max_steps = number("--max-steps", text="Stop training after N steps.")
batch_size = number("--batch-size", text="Samples per step. Default: the task's.")
seed = number(
    "--seed",
    least=0,
    default=0,
    text="Seed of the initial weights, the batch order and the random inputs.",
)
seeds = number("--seeds", most=10_000, text="Number of seeds: 0 to N-1.")

device = click.option(
    "--device",
    default="auto",
    callback=check_device,
    show_default=True,
    metavar="DEVICE",
    help="auto, cpu, cuda or cuda:N. auto is the first GPU, or the CPU if there is none.",
)
precision = choice(
    "--precision",
    of=PRECISIONS,
    default="float32",
    text="Floating-point arithmetic. bfloat16 is mixed precision.",
)
threads = number("--threads", most=MOST_THREADS, text="CPU threads. Default: the number of physical cores.")
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
    "that is silent for 10 minutes and neither uses the CPU nor waits for it is killed. A longer timeout "
    "also allows a longer silence.",
)


def _name_plugin_files(_ctx: click.Context, _parameter: click.Parameter, paths: tuple[Path, ...]) -> None:
    if broken := [str(path) for path in paths if "\n" in str(path.resolve())]:
        raise UsageError(f"--plugin {broken[0]!a}: the path of a plugin file cannot have a line break.")
    if paths:
        name_plugin_files(paths)


plugin = click.option(
    "--plugin",
    multiple=True,
    expose_value=False,
    is_eager=True,
    callback=_name_plugin_files,
    type=InputFile(),
    help="Python file that defines a backend, a task, a data set or a kind of study; repeatable.",
)


def configurations(
    names: Iterable[str], task: Task, device: str, threads: int | None, precision: Precision
) -> list[Configuration]:
    """Return the configurations that backend ``names``, ``--device`` and ``--threads`` ask for on a task."""
    return [
        Configuration(
            selection.backend.name,
            selection.mode(task),
            device,
            threads or default_threads(),
            precision,
        )
        for selection in map(select_backend, names)
    ]


def percentage(name: str, text: str, *, example: str, default: str | None = None) -> Callable[[_F], _F]:
    """Make an option that takes a percentage such as ``2%``, as a share above 0 and below 1."""

    def parse(_ctx: click.Context, _parameter: click.Parameter, given: str | None) -> float | None:
        if given is None:
            return None
        try:
            share = float(given.removesuffix("%")) / 100
        except ValueError:
            share = 0.0
        if not given.endswith("%") or not 0 < share < 1:
            raise UsageError(f"{name} {given}: write a percentage above 0 and below 100, such as {example}.")
        return share

    shown: dict[str, Any] = {"default": default, "show_default": default is not None, "metavar": "PERCENT"}
    return click.option(name, callback=parse, help=text, **shown)


def budget(text: str, default: str | None = None) -> Callable[[_F], _F]:
    """Take a time limit as ``budget``, in seconds; ``default`` is written as on the command line."""
    return click.option(
        "--budget",
        type=DURATION,
        default=default,
        show_default=default is not None,
        metavar="DURATION",
        help=text,
    )


#: The file of a gate's benchmarks.
suite = click.option(
    "--suite",
    type=UserPath(),  # read by the command, which answers in its reports if there is no such file
    metavar="FILE",
    help="TOML file of the benchmarks. Default: gate.toml, or [tool.harness.gate] in pyproject.toml.",
)

#: Packages that new environments have beside the packages that are compared.
others = click.option(
    "--install",
    "others",
    multiple=True,
    metavar="REQUIREMENT",
    help="Also install this in each new environment, such as numpy or '.'; repeatable.",
)


def profile(text: str) -> Callable[[_F], _F]:
    """Take a flag ``profile``, which asks for profiles of processes that are not timed."""
    return click.option("--profile", is_flag=True, help=text)


def turns(text: str = "Timed blocks of a process.") -> Callable[[_F], _F]:
    """Take a number of timed blocks as ``turns``."""
    return number("--turns", least=2, most=1000, text=text)


def targets(text: str) -> Callable[[_F], _F]:
    """Take files to which the result is also written as ``targets``."""
    return click.option("--to", "targets", multiple=True, metavar="FILE", type=OutputFile(), help=text)


def python(name: str, text: str) -> Callable[[_F], _F]:
    """Take ``--NAME-python`` as ``NAME_python``: the absolute path of an interpreter, or None."""

    def find(_ctx: click.Context, _parameter: click.Parameter, path: str | None) -> str | None:
        return None if path is None else program(f"--{name}-python", path)

    return click.option(f"--{name}-python", callback=find, metavar="PATH", help=text)


def variables(name: str, text: str) -> Callable[[_F], _F]:
    """Take ``--NAME-env NAME=VALUE`` as ``NAME_env``: a dictionary of environment variables."""
    option = f"--{name}-env"

    def parse(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
        return dict(parse_variable(option, assignment) for assignment in each_once(ctx, parameter, texts))

    return click.option(option, multiple=True, callback=parse, metavar="NAME=VALUE", help=text)


def parse_variable(option: str, assignment: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``, the value of ``option``."""
    name, sign, value = assignment.partition("=")
    if not sign or not name:
        raise UsageError(f"{option} {assignment}: write NAME=VALUE, for example TF_ENABLE_ONEDNN_OPTS=0.")
    if name == WORKER_CPUS:
        raise UsageError(f"{option} {assignment}: the harness sets this variable; use --threads.")
    return name, value


results = click.option(
    "--results",
    type=UserPath(file_okay=False),
    default=DEFAULT_RESULTS,
    show_default=True,
    help="Folder of the records.",
)
form = choice(
    "--format",
    "form",
    of=("table", "json"),
    default="table",
    text="Output format. json prints one JSON document on standard output.",
)
quiet = click.option("--quiet", is_flag=True, help="Print only the result, no progress.")
#: For commands that make a record.
output = together(results, form, quiet)


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """The values of :data:`output`."""

    results: Path
    form: Literal["table", "json"]
    quiet: bool


def verbose(text: str) -> Callable[[_F], _F]:
    """Take a flag as ``verbose``; ``text`` states the additional output of the flag."""
    return click.option("--verbose", is_flag=True, help=text)


_MOST_NAMED = 10


def _labels(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Split ``NAME=TEXT`` into names and texts; a name may hold ``=`` itself, as ``width=8`` does."""
    labels = {}
    for text in texts:
        name, _, label = (part.strip() for part in text.rpartition("="))
        if not (name and label):
            raise click.BadParameter(
                f"{text!r}; write NAME=TEXT, such as torch:eager=PyTorch.", ctx, parameter
            )
        labels[name] = label
    return labels


#: The argument SELECTION and the options ``--results``, ``--by``, ``--margin``, ``--target`` and ``--label``.
selection_options = together(
    click.argument("selection", nargs=-1, shell_complete=completion.RECORD),
    results,
    click.option(
        "--by",
        metavar="NAME[,NAME]",
        help="Compare the values of a task option or field, all else being equal: optimizer, batch_size, "
        "precision, threads, epochs, … Default: the only one that varies, or else backend.",
    ),
    click.option(
        "--margin",
        type=Number(min=0, min_open=True),
        metavar="POINTS",
        help="Treat a smaller difference in quality as equal. Default: 1 point of accuracy, 1 % "
        "of a language model's loss, 5 % of other scores.",
    ),
    click.option(
        "--target",
        type=Number(),
        metavar="SCORE",
        help="Report the training time to this validation score. Default: a round value that every run "
        "reaches; for settings, every run of half of them.",
    ),
    click.option(
        "--label",
        "labels",
        multiple=True,
        callback=_labels,
        metavar="NAME=TEXT",
        help="Call a configuration, a model or a task so in tables, text and charts, such as "
        'torch:eager=PyTorch or my_torch="Ours"; repeatable.',
    ),
)


def report_unreadable(messages: list[str]) -> int:
    """Print on standard error why files were skipped; return the exit code."""
    for message in messages[:_MOST_NAMED]:
        print_error(f"skipped: {message}")
    if len(messages) > 1:
        print_error(f"{len(messages)} files were skipped")
    return int(bool(messages))


class _Executors(click.Choice[str]):
    """This machine, or an executor of a feature. Features are asked when the choices are needed."""

    def __init__(self) -> None:
        super().__init__(())

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of ``--executor``."""
        return (_LOCAL, *features.named("executors"))

    @choices.setter
    def choices(self, _none: tuple[str, ...]) -> None:
        """Ignore the value that click sets."""


#: The value of ``--executor`` for this machine.
_LOCAL = "local"
#: ``--executor`` and ``--address``, for :func:`harness.core.shell.executors.executor_of`.
executor = together(
    click.option(
        "--executor",
        type=_Executors(),
        default=_LOCAL,
        show_default=True,
        help="local runs on this machine, ray on the nodes of a Ray cluster. A run whose time is judged, or "
        "a whole duel, occupies one node.",
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="Ray cluster for --executor ray. Default: RAY_ADDRESS, or the cluster on this machine.",
    ),
)


dry_run = click.option(
    "--dry-run", is_flag=True, help="List what would be written or removed, and change nothing."
)
#: As many runs at once as cores and memory allow.
ALL_JOBS = 0
jobs = number(
    "--jobs",
    most=1024,
    text="Workers at once on this machine, or on each node, whose times are not judged. Default of study: as "
    "many as cores and memory allow; of other commands: one after the other.",
)


@dataclass(frozen=True, kw_only=True)
class ExecutorOptions:
    """The values of :data:`executor`."""

    executor: str
    address: str | None


def is_local(given: ExecutorOptions) -> bool:
    """Check that the options ask for this machine, not for an executor of a feature."""
    if given.address is not None and given.executor == _LOCAL:
        raise UsageError("--address names a Ray cluster: add --executor ray.")
    return given.executor == _LOCAL
