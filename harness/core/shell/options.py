"""Options that several commands share, as decorators: one name, type and wording each.

Use it as ``from harness.core.shell.main import options`` and ``@options.dataset``. A decorator with
parentheses, such as ``@options.turns("Timed blocks.")``, takes the properties that differ between commands.
"""

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.core.documents.results import DEFAULT_RESULTS
from harness.core.machine.arguments import program, seconds_of
from harness.core.machine.cpus import WORKER_CPUS
from harness.core.machine.description import default_threads
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.contributions import (
    Contribution,
    Request,
    contributions,
)
from harness.core.plugins.files import name_plugin_files, plugin_files
from harness.core.plugins.loading import LABELS, Kind
from harness.core.plugins.selection import select_backend
from harness.core.shell import completion
from harness.core.shell.printing import print_error
from harness.errors import UsageError, unknown_name
from harness.spec.backend import DEVICE_PATTERN, Precision
from harness.spec.task import Task
from harness.tracking.tracker import Tracker
from harness.tracking.values import NAMES, make_tracker

# The click type of durations on the command line: ``90``, ``90s``, ``5m`` or ``1h``; seconds inside.


class Duration(click.ParamType[float]):
    """A positive time. A number without a unit is in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The duration in seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return seconds_of(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


DURATION = Duration()


# The option ``--plugin``, and warnings about its files before a command begins.

#: The parameters of commands that name plugins.
_PARAMETERS: dict[str, Kind] = {
    "backends": "backend",
    "backend": "backend",
    "tasks": "task",
    "task": "task",
    "dataset": "dataset",
}


def plugin_option(
    parameters: Mapping[str, Kind] = _PARAMETERS, *, unnamed_means_all: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option ``--plugin`` of a command whose ``parameters`` name plugins.

    Before the command begins, files that contribute nothing to it are refused. With ``unnamed_means_all``
    a parameter without names asks for every installed plugin of its kind.
    """
    option = click.option(
        "--plugin",
        multiple=True,
        expose_value=False,
        is_eager=True,
        callback=_set_plugin_files,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Python file that defines a backend, a task, a data set or a kind of study; repeatable.",
    )

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def called(*positional: Any, **given: Any) -> Any:
            if plugin_files():
                request = _request(parameters, given, unnamed_means_all=unnamed_means_all)
                for contribution in contributions(request):
                    for line in _remarks(contribution):
                        print_error(line)
            return function(*positional, **given)

        return option(called)

    return decorate


def _set_plugin_files(_ctx: click.Context, _parameter: click.Parameter, paths: tuple[Path, ...]) -> None:
    if broken := [str(path) for path in paths if "\n" in str(path.resolve())]:
        raise UsageError(f"--plugin {broken[0]!a}: the path of a plugin file cannot have a line break.")
    if paths:
        name_plugin_files(paths)


def _request(parameters: Mapping[str, Kind], given: Mapping[str, Any], *, unnamed_means_all: bool) -> Request:
    request: dict[Kind, tuple[str, ...]] = {}
    for parameter, kind in parameters.items():
        if parameter not in given:
            continue
        value = given[parameter] or ()
        names = (value,) if isinstance(value, str) else tuple(value)
        if not names and unnamed_means_all:
            names = tuple(registry.names(kind))
        # A mode follows the name of a backend.
        request[kind] = (*request.get(kind, ()), *(name.partition(":")[0] for name in names))
    return {kind: tuple(dict.fromkeys(names)) for kind, names in request.items()}


def _remarks(contribution: Contribution) -> list[str]:
    """Warnings about unexpected effects of this file."""
    where = f"plugin file {contribution.file}"
    lines = [
        f"{LABELS[kind]} {name} is taken from {where}; the installed one is ignored"
        for kind, name in contribution.also_installed
    ]
    lines += [
        f"{LABELS[kind]} {name} is taken from {where}; the one in {other} is ignored"
        for kind, name, other in contribution.also_in_files
    ]
    lines += [
        f"{where} implements harness_{kind} and provides no {LABELS[kind]} that is asked for; "
        "installed ones are used"
        for kind in contribution.lacking
    ]
    return lines


_F = TypeVar("_F", bound=Callable[..., Any])


def together(*decorators: Callable[[Any], Any]) -> Callable[[_F], _F]:
    """Several options as one decorator; the help lists them in this order."""

    def decorate(function: _F) -> _F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


class WholeNumber(click.IntRange):
    """An integer in a range; its errors say "integer" instead of "integer range"."""

    name = "integer"


PRECISIONS = ("float32", "float64", "bfloat16")
MOST_THREADS = 1024


def number(
    *names: str, text: str, least: int = 1, most: int | None = None, default: int | None = None, **more: Any
) -> Callable[[_F], _F]:
    """An option that takes an integer in a range."""
    more |= {"default": default, "show_default": default is not None, "metavar": "N", "help": text}
    return click.option(*names, type=WholeNumber(least, most), **more)


def choice(
    *names: str, of: Sequence[str], text: str, default: str | None = None, **more: Any
) -> Callable[[_F], _F]:
    """An option that takes a word out of several."""
    more |= {"default": default, "show_default": default is not None, "help": text}
    return click.option(*names, type=click.Choice(of), **more)


def split_names(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """``a,b c`` and ``--task a,b --task c`` give a, b, c; duplicates are dropped."""
    return list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))


def check_finite(_ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse ``nan`` and ``inf``, which click accepts as numbers."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.", param=parameter)
    return value


def check_device(_ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Refuse a text that does not name a device."""
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
    """One task as ``task``; required unless there is a default, or the command checks for it."""
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
    help="Data set; an error if it cannot be obtained. Default: the task's own, or, with a notice, "
    "a stand-in if that cannot be obtained.",
)
assignments = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Task option, such as learning_rate=0.05; repeatable. `harness list tasks` lists them.",
)
epochs = number("--epochs", text="Passes over the training data. Default: the task's.")
max_steps = number("--max-steps", text="Stop training after N steps.")
batch_size = number("--batch-size", text="Samples per step. Default: the task's.")
seed = number(
    "--seed",
    least=0,
    most=2**31 - 1,
    default=0,
    text="Seed of the initial weights, the batch order and the random inputs.",
)
seeds = number("--seeds", most=10_000, text="Number of seeds: 0 to N-1.")

# Where and how it is run.

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
    "that is silent for 10 minutes and does not use the CPU is killed. A longer timeout also allows a longer "
    "silence.",
)
plugin = plugin_option()
#: For commands whose arguments name data sets.
plugin_of_datasets = plugin_option({"name": "dataset", "names": "dataset"}, unnamed_means_all=True)
#: For duels, whose argument names backends with their modes.
plugin_of_configurations = plugin_option({"names": "backend", "task": "task", "dataset": "dataset"})
#: For studies, whose kind is a plugin, too.
plugin_of_studies = plugin_option({**_PARAMETERS, "kind": "study"})
#: For commands that take every installed backend and task where none is named.
plugin_of_all = plugin_option(unnamed_means_all=True)


def configurations(
    names: Iterable[str], task: Task, given: Mapping[str, Any], precision: Precision
) -> list[Configuration]:
    """What backends of these names, ``--device`` and ``--threads`` ask for on a task.

    Raises:
        UsageError: a backend is unknown or not installed, or several of its modes are named.
    """
    return [
        Configuration(
            selection.backend.name,
            selection.mode(task),
            given["device"],
            given["threads"] or default_threads(),
            precision,
        )
        for selection in map(select_backend, names)
    ]


def percentage(name: str, text: str, *, example: str, default: str | None = None) -> Callable[[_F], _F]:
    """An option that takes a percentage such as ``2%``, as a share above 0 and below 1."""

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
    """A time limit as ``budget``, in seconds; ``default`` is written as on the command line."""
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
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="TOML file of the benchmarks. Default: gate.toml, or [tool.harness.gate] in pyproject.toml.",
)

#: What new environments have beside what is compared.
others = click.option(
    "--install",
    "others",
    multiple=True,
    metavar="REQUIREMENT",
    help="Also install this in each new environment, such as numpy or '.'; repeatable.",
)


def profile(text: str) -> Callable[[_F], _F]:
    """``profile``: whether to profile processes that are not timed."""
    return click.option("--profile", is_flag=True, help=text)


def turns(text: str = "Timed blocks of a process.") -> Callable[[_F], _F]:
    """``turns``, a number of timed blocks."""
    return number("--turns", least=2, most=1000, text=text)


def targets(text: str) -> Callable[[_F], _F]:
    """``targets``: files to which the result is also written."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option("--to", "targets", multiple=True, metavar="FILE", type=path, help=text)


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
form = choice(
    "--format",
    "form",
    of=("table", "json"),
    default="table",
    text="Output format. json prints one JSON document on standard output.",
)
quiet = click.option("--quiet", is_flag=True, help="Print only the result, no progress.")
#: Of commands that make a record.
output = together(results, form, quiet)


def verbose(text: str) -> Callable[[_F], _F]:
    """A flag as ``verbose``; ``text`` states what it prints in addition."""
    return click.option("--verbose", is_flag=True, help=text)


# Arguments and messages of the commands that read records.

_MOST_NAMED = 10


#: The argument SELECTION and the options ``--results``, ``--by``, ``--margin`` and ``--target``.
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
        type=click.FloatRange(min=0, min_open=True),
        callback=check_finite,
        metavar="POINTS",
        help="Treat a smaller difference in quality as equal. Default: 1 point of accuracy, 1 % "
        "of a language model's loss, 5 % of other scores.",
    ),
    click.option(
        "--target",
        type=float,
        callback=check_finite,
        metavar="SCORE",
        help="Report the training time to this validation score. Default: a round value that every run "
        "reaches; for settings, every run of half of them.",
    ),
)


def report_unreadable(messages: list[str]) -> int:
    """Print on standard error why files were skipped; returns the exit code."""
    for message in messages[:_MOST_NAMED]:
        print_error(f"skipped: {message}")
    if len(messages) > 1:
        print_error(f"{len(messages)} files were skipped")
    return int(bool(messages))


# Where a command's work is executed: on this machine, or on the nodes of a Ray cluster.

#: ``executor``, which is local or ray, and ``address``, that of the cluster or None.
executor = together(
    choice(
        "--executor",
        of=("local", "ray"),
        default="local",
        text="local runs on this machine, ray on the nodes of a Ray cluster. A run or a whole duel "
        "occupies one node.",
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="Ray cluster for --executor ray. Default: RAY_ADDRESS, or the cluster on this machine.",
    ),
)


def on_cluster(given: Mapping[str, Any]) -> bool:
    """Whether the work is executed on a cluster.

    Raises:
        UsageError: an address is given for no cluster.
    """
    if given["address"] is not None and given["executor"] != "ray":
        raise UsageError("--address names a Ray cluster: add --executor ray.")
    return bool(given["executor"] == "ray")


# Trackers: other tools that show runs while they train.


def _known_names(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[str]:
    names = split_names(ctx, parameter, texts)
    for name in names:
        if name not in NAMES:
            raise unknown_name("tracker", name, NAMES)
    return names


#: ``--track`` and ``--track-uri``, for :func:`trackers_of`.
tracking = together(
    click.option(
        "--track",
        "trackers",
        multiple=True,
        callback=_known_names,
        shell_complete=completion.TRACKERS,
        metavar="NAME[,NAME]",
        help="Show the runs in mlflow or tensorboard while they train. TensorBoard's files are written "
        "to the results folder.",
    ),
    click.option(
        "--track-uri",
        metavar="URI",
        help="Tracking URI of MLflow. Default: MLFLOW_TRACKING_URI, or MLflow's own default. The "
        "experiment is MLFLOW_EXPERIMENT_NAME, or harness.",
    ),
)


def trackers_of(given: dict[str, Any]) -> list[Tracker]:
    """The trackers that the options ask for.

    Raises:
        UsageError: one is not installed, or a URI cannot be used.
    """
    names: list[str] = given["trackers"]
    results: Path = given["results"]
    if given["track_uri"] and "mlflow" not in names:
        raise UsageError("--track-uri is the tracking URI of MLflow: add --track mlflow.")
    return [make_tracker(name, results, given["track_uri"]) for name in names]
