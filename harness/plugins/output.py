"""Output that a plugin's own code prints."""

import contextlib
import os
import sys
from collections.abc import Iterator

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2


@contextlib.contextmanager
def nothing_on_stdout() -> Iterator[None]:
    """Redirect standard output to standard error while a plugin's code runs, to keep JSON documents clean.

    This includes the output of processes that the plugin starts, such as ``unzip``.
    """
    with contextlib.redirect_stdout(sys.stderr), contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # this process was started without them
            kept = os.dup(_STANDARD_OUTPUT)
            stack.callback(os.close, kept)
            os.dup2(_STANDARD_ERROR, _STANDARD_OUTPUT)
            stack.callback(os.dup2, kept, _STANDARD_OUTPUT)
        yield
