"""Two models of the user's own in two frameworks: are they equal, and if not, where and why do they differ?

Both models run in processes of their own and describe their calls in the vocabulary of
:mod:`harness.tracing`. This family pairs their parameters, compares them in float64, walks to the calls that
differ, and names the cause by trying it in plain NumPy. It knows no framework.
"""

from typing import Any

__all__ = ["assert_same_model", "check"]


def __getattr__(name: str) -> Any:
    """Import ``check`` or ``assert_same_model`` on demand: both need NumPy and SciPy."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness.port import api

    return getattr(api, name)
