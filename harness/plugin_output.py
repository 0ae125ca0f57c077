"""What a plugin's own code prints."""

import contextlib
import sys
from typing import TextIO


def nothing_on_stdout() -> contextlib.redirect_stdout[TextIO]:
    """While a plugin's code runs here: what it prints goes to standard error, not into a JSON document."""
    return contextlib.redirect_stdout(sys.stderr)
