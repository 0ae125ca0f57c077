"""Programs that are given by a path, or by a name that is looked up in ``PATH``."""

import os
import shutil
from pathlib import Path

from harness.errors import UsageError


def program(option: str, path: str) -> str:
    """The absolute path. Links are not followed: the interpreter of a virtual environment is one.

    Raises:
        UsageError: there is no such program, or its path is not UTF-8.
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
