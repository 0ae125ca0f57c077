"""Durations as people write them: ``90``, ``90s``, ``5m`` or ``1h``."""

import math
import re

from harness.errors import UsageError

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*")


def seconds_of(text: str) -> float:
    """The seconds of a positive duration; a number without a unit is in seconds.

    Raises:
        UsageError: it is not a duration; says what would be right.
    """
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _UNIT_SECONDS[match[2]] if match else math.nan
    if seconds == 0:
        raise UsageError(f"{text!r}: a duration must be above 0.")
    if not 0 < seconds < math.inf:
        raise UsageError(f"{text!r} is not a duration. Write 90s, 5m or 1h; a bare number is seconds.")
    return seconds


def duration_text(seconds: float) -> str:
    """The duration as it is written on a command line, in whole seconds, minutes or hours: ``5m``."""
    whole = math.ceil(seconds)
    for unit in ("h", "m"):
        size = round(_UNIT_SECONDS[unit])
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"
