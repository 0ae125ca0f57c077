"""Programs that are named by a path, or by a name that is looked for in ``PATH``."""

import os
import shutil
from pathlib import Path

from harness.errors import UsageError


def program(option: str, path: str) -> str:
    """Where it is; links are not followed, for a virtual environment's interpreter is one.

    Raises:
        UsageError: there is no such program, or its path is no text.
    """
    # Not a Path, which forgets that ./python is no name to look for.
    found = shutil.which(os.path.expanduser(path))  # noqa: PTH111
    if found is None:
        raise UsageError(f"{option} {path}: there is no such program; give a venv's bin/python")
    whole = str(Path(found).absolute())
    if "\N{REPLACEMENT CHARACTER}" in os.fsencode(whole).decode(errors="replace"):
        told = os.fsencode(whole).decode(errors="backslashreplace")
        raise UsageError(f"{option}: records cannot tell of {told}, which is no UTF-8: rename its folder")
    return whole
