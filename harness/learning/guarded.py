"""Functions of other packages: one that raises shows nothing, with a warning, and the rest is shown."""

import functools
from collections.abc import Callable
from typing import Any

from harness.core.shell.printing import print_error
from harness.errors import HarnessError


def guarded(what: str, function: Callable[..., Any], nothing: Any) -> Callable[..., Any]:
    """Return the function, which returns ``nothing`` and names ``what`` failed if it raises.

    Functions of the harness are returned as they are. What yields its results becomes a list.
    """
    if str(getattr(function, "__module__", "")).startswith("harness."):
        return function

    @functools.wraps(function)
    def shown(*arguments: object) -> Any:
        try:
            result = function(*arguments)
            return [*result] if isinstance(nothing, tuple | list) else result
        except HarnessError:
            raise
        except Exception as error:  # noqa: BLE001  of another package
            print_error(f"{what}: {type(error).__name__}: {error}; it is left out")
            return nothing

    return shown
