"""The options of ``harness run``: several values of one option, evaluation, federated averaging."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.core.runs.matrix import OwnTask
from harness.core.runs.record import Evaluation
from harness.core.shell.options import (
    MOST_THREADS,
    PRECISIONS,
    ExecutorOptions,
    OutputOptions,
    number,
    together,
)
from harness.core.shell.parameters import WholeNumber
from harness.errors import UsageError
from harness.spec.backend import Precision

_F = TypeVar("_F", bound=Callable[..., Any])


class Several(click.ParamType[list[Any]]):
    """A list of values of another type, which commas separate."""

    def __init__(self, each: click.ParamType[Any]) -> None:
        self._each = each
        self.name = each.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Any]:
        """Convert each part of ``value``; the error names the part that does not fit."""
        return [self._each.convert(part.strip(), param, ctx) for part in str(value).split(",")]


def several(*names: str, each: click.ParamType[Any], **attributes: Any) -> Callable[[_F], _F]:
    """Make an option that can be repeated, or given several values at once: a list without duplicates."""

    def joined(_ctx: click.Context, _parameter: click.Parameter, values: tuple[list[Any], ...]) -> list[Any]:
        return list(dict.fromkeys(value for part in values for value in part))

    return click.option(*names, multiple=True, type=Several(each), callback=joined, **attributes)


#: The values are split later, when the types of the task's options are known.
assignments = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE[,VALUE]",
    help="Task option, such as learning_rate=0.05 or optimizer=adam,sgd; repeatable. Each value is run. "
    "`harness list tasks` lists them.",
)
batch_sizes = several(
    "--batch-size",
    "batch_sizes",
    each=WholeNumber(),
    metavar="N[,N]",
    help="Samples per step. Default: the task's.",
)
precisions = several(
    "--precision",
    "precisions",
    each=click.Choice(PRECISIONS),
    default=("float32",),
    show_default=True,
    metavar="NAME[,NAME]",
    help="Floating-point arithmetic: float32, float64, or bfloat16 (mixed precision).",
)
threads = several(
    "--threads",
    "threads",
    each=WholeNumber(1, MOST_THREADS),
    metavar="N[,N]",
    help="CPU threads. Default: the number of physical cores.",
)


#: ``--eval-every``, ``--eval-samples`` and ``--no-eval``, for :func:`evaluation_of`.
evaluation = together(
    number(
        "--eval-every",
        text="Score after every N epochs and after the last. The best epoch is one of those scored. Default: "
        "every epoch.",
    ),
    number(
        "--eval-samples",
        text="Score on at most N training and N validation samples, the same in every run. The test data is "
        "always scored completely. Default: all samples.",
    ),
    click.option("--no-eval", is_flag=True, help="Score nothing, not even the test data."),
)


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The values of :data:`evaluation`."""

    eval_every: int | None
    eval_samples: int | None
    no_eval: bool


def evaluation_of(given: EvaluationOptions) -> Evaluation:
    """Return the evaluation that the options ask for."""
    every, samples = given.eval_every, given.eval_samples
    if not given.no_eval:
        return Evaluation(every or 1, samples)
    if every or samples:
        option = "--eval-every" if every else "--eval-samples"
        raise UsageError(f"--no-eval scores nothing; leave out {option} or --no-eval.")
    return Evaluation(every_epochs=None)


_FEDERATED = ("clients", "rounds", "local_epochs", "split")
_FEDERATED_FORM = "clients=N[,rounds=N][,local_epochs=N][,split=even|dirichlet:A]"
federated = click.option(
    "--federated",
    metavar=_FEDERATED_FORM,
    help="Train by federated averaging: each client has a part of the training data, split evenly, or class "
    "by class with a Dirichlet concentration A. A round is an epoch. Short for --epochs, and for --set of "
    "clients, local_epochs and dirichlet.",
)


@dataclass(frozen=True, kw_only=True)
class OwnModelOptions:
    """The values of the options that name tasks, or the user's own models in place of them."""

    backends: list[str]
    tasks: list[str]
    models: tuple[str, ...]
    set_model: dict[str, list[str]]
    losses: list[str]
    optimizers: list[str]
    augmentations: list[str]
    starts: list[str]
    dataset: str | None
    results: Path
    quiet: bool
    own: dict[str, OwnTask] = field(default_factory=dict)
    """What is asked of the task of each model alone, by name."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(EvaluationOptions, ExecutorOptions, OutputOptions, OwnModelOptions):
    """The values of the options of ``harness run``."""

    preset: str | None
    epochs: int | None
    max_steps: int | None
    batch_sizes: list[int]
    seed: int
    seeds: int | None
    device: str
    precisions: list[Precision]
    threads: list[int]
    assignments: tuple[str, ...]
    federated: str | None
    certify: bool
    save_weights: bool
    fresh: bool
    jobs: int | None
    timeout: float | None


def with_federated(given: RunOptions) -> RunOptions:
    """Return the options with the task options and the epochs that ``--federated`` stands for."""
    text = given.federated
    if text is None:
        return given
    named = [part.partition("=")[::2] for part in text.split(",")]
    parts = dict(named)
    split = parts.pop("split", "even")
    rounds = parts.pop("rounds", None)
    kind, _, concentration = split.partition(":")
    is_split = split == "even" or (kind == "dirichlet" and concentration)
    is_count = all(value.isdecimal() and int(value) for value in (*parts.values(), *filter(None, [rounds])))
    known = {*parts} <= {*_FEDERATED} and len(parts) + bool(rounds) + (split != "even") == len(named)
    if "clients" not in parts or not known or not is_split or not is_count:
        raise UsageError(f"--federated {text}: give {_FEDERATED_FORM}, such as clients=10,rounds=20.")
    if rounds and given.epochs:
        raise UsageError("--federated with rounds is --epochs; leave out one of them.")
    if twice := {each.partition("=")[0] for each in given.assignments} & {*_FEDERATED, "dirichlet"}:
        raise UsageError(f"--federated and --set {min(twice)} say the same; leave out one of them.")
    chosen = [f"{name}={value}" for name, value in parts.items()]
    chosen += [f"dirichlet={concentration}"] * bool(concentration)
    epochs = int(rounds) if rounds else given.epochs
    return dataclasses.replace(given, assignments=(*given.assignments, *chosen), epochs=epochs)
