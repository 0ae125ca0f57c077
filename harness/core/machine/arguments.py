"""Arguments as people write them on a command line: durations such as ``90s`` or ``5m``, and programs."""

import math
import os
import re
import shutil
from pathlib import Path

from harness.errors import UsageError

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*")


def seconds_of(text: str) -> float:
    """Parse a positive duration; a number without a unit is in seconds."""
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _UNIT_SECONDS[match[2]] if match else math.nan
    if seconds == 0:
        raise UsageError(f"{text!r}: a duration must be above 0.")
    if not 0 < seconds < math.inf:
        raise UsageError(f"{text!r} is not a duration. Write 90s, 5m or 1h; a bare number is seconds.")
    return seconds


def duration_text(seconds: float) -> str:
    """Write a duration as on a command line, in whole seconds, minutes or hours: ``5m``."""
    whole = math.ceil(seconds)
    for unit in ("h", "m"):
        size = round(_UNIT_SECONDS[unit])
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def program(option: str, path: str) -> str:
    """Return the absolute path of a program, given by a path or by a name that is looked up in ``PATH``.

    Links are not followed: the interpreter of a virtual environment is one.
    """
    # Not a Path, which would turn ./python into a name to look up.
    location = shutil.which(os.path.expanduser(path))  # noqa: PTH111
    if location is None:
        raise UsageError(f"{option} {path}: no such program; give the bin/python of a virtual environment")
    whole = str(Path(location).absolute())
    if "\N{REPLACEMENT CHARACTER}" in os.fsencode(whole).decode(errors="replace"):
        escaped = os.fsencode(whole).decode(errors="backslashreplace")
        raise UsageError(f"{option}: {escaped} is not UTF-8, which records need: rename its folder")
    return whole
