"""Programs that are named by a path, or by a name that is looked for in ``PATH``."""

import os
import shutil
from pathlib import Path

from harness.errors import UsageError


def program(option: str, path: str) -> str:
    """Where it is; links are not followed, for a virtual environment's interpreter is one.

    Raises:
        UsageError: there is no such program.
    """
    # Not a Path, which forgets that ./python is no name to look for.
    found = shutil.which(os.path.expanduser(path))  # noqa: PTH111
    if found is None:
        raise UsageError(f"{option} {path}: there is no such program; give a venv's bin/python")
    return str(Path(found).absolute())
