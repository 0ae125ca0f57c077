"""The click type of durations on the command line: ``90``, ``90s``, ``5m`` or ``1h``; seconds inside."""

from typing import Any

import click

from harness.errors import UsageError
from harness.machine.durations import seconds_of


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
