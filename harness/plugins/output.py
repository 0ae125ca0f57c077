"""What a plugin's own code prints."""

import contextlib
import os
import sys
from collections.abc import Iterator

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2


@contextlib.contextmanager
def nothing_on_stdout() -> Iterator[None]:
    """While a plugin's code runs here: what it prints goes to standard error, not into a JSON document.

    So does what a process prints that it starts, such as ``unzip``.
    """
    with contextlib.redirect_stdout(sys.stderr), contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # they came closed
            kept = os.dup(_STANDARD_OUTPUT)
            stack.callback(os.close, kept)
            os.dup2(_STANDARD_ERROR, _STANDARD_OUTPUT)
            stack.callback(os.dup2, kept, _STANDARD_OUTPUT)
        yield
