"""The options of ``harness run`` that take several values: each of them is run."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from harness.cli.options import PRECISION, THREADS, WholeNumber

_F = TypeVar("_F", bound=Callable[..., Any])


class Several(click.ParamType[list[Any]]):
    """Values of another type, separated by commas, as a list."""

    def __init__(self, each: click.ParamType[Any]) -> None:
        self._each = each
        self.name = each.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Any]:
        """Convert each part of a text; the error names the part that does not fit."""
        return [self._each.convert(part.strip(), param, ctx) for part in str(value).split(",")]


def several(*names: str, each: click.ParamType[Any], **attributes: Any) -> Callable[[_F], _F]:
    """An option that can be repeated, or given several values at once: a list without duplicates."""

    def joined(_ctx: click.Context, _parameter: click.Parameter, values: tuple[list[Any], ...]) -> list[Any]:
        return list(dict.fromkeys(value for part in values for value in part))

    return click.option(*names, multiple=True, type=Several(each), callback=joined, **attributes)


#: The texts are split where the task's options, and so their types, are known.
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
    each=WholeNumber(min=1),
    metavar="N[,N]",
    help="Samples per step. Default: the task's.",
)
precisions = several(
    "--precision",
    "precisions",
    each=PRECISION,
    default=("float32",),
    show_default=True,
    metavar="NAME[,NAME]",
    help="Floating-point arithmetic: float32, float64, or bfloat16 (mixed precision).",
)
threads = several(
    "--threads",
    "threads",
    each=THREADS,
    metavar="N[,N]",
    help="CPU threads. Default: the number of physical cores.",
)
