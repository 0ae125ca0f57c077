"""Types of parameters of all commands: each refuses, in one line, what the command could not use."""

import csv
import math
from typing import Any

import click

from harness.core.machine.arguments import seconds_of
from harness.errors import UsageError

#: The most that an integer may be: records, and seeds of NumPy, hold it.
_MOST = 2**31 - 1


class Duration(click.ParamType[float]):
    """A positive time, such as ``90``, ``90s``, ``5m`` or ``1h``, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert ``value`` to seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return seconds_of(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


DURATION = Duration()


class WholeNumber(click.IntRange):
    """An integer from ``least`` to ``most``, or of 31 bits; errors say "integer", not "integer range"."""

    name = "integer"

    def __init__(self, least: int = 1, most: int | None = None) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert ``value``, or fail."""
        number: int = super().convert(value, param, ctx)
        if number > _MOST:
            self.fail(f"{number:,} is above {_MOST:,}.", param, ctx)
        return number


def split_names(_ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """Split names at commas and drop duplicates: ``--task a,b --task b,c`` gives a, b, c.

    A name that contains a comma stands in double quotes.
    """
    try:
        rows = [*csv.reader(values, skipinitialspace=True, strict=True)]
    except csv.Error as error:
        raise click.BadParameter(f"{error}; write NAME or NAME,NAME.", param=parameter) from error
    names = [name.strip() for row in rows for name in row or [""]]
    if not all(names):
        raise click.BadParameter("a name is empty; write NAME or NAME,NAME.", param=parameter)
    return list(dict.fromkeys(names))


def each_once(
    _ctx: click.Context, parameter: click.Parameter, assignments: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse a second value of a name in ``NAME=VALUE`` texts, because only one value would count."""
    names = [assignment.partition("=")[0].strip() for assignment in assignments]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise click.BadParameter(f"{twice[0]} is given twice; give it once.", param=parameter)
    return assignments


class Number(click.FloatRange):
    """A finite number in a range. Click accepts ``nan`` in every range, and ``inf`` without a maximum."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert ``value``, or fail."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number
