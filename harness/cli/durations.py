"""Durations on the command line: ``90``, ``90s``, ``5m`` or ``1h``, always in seconds inside."""

import math
import re
from typing import Any

import click

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*")


class Duration(click.ParamType[float]):
    """A positive time. A number without a unit is in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; fails with what would be right."""
        if isinstance(value, (int, float)):
            return float(value)
        match = _DURATION.fullmatch(value)
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]] if match else math.nan
        if not 0 < seconds < math.inf:
            self.fail(
                f"{value!r} is not a duration. Write 90s, 5m or 1h; a bare number is seconds.", param, ctx
            )
        return seconds


DURATION = Duration()
