"""Two models of the user's own in two frameworks: whether they are the same, and if not, where and why.

Sides run in processes of their own and describe what they do in the vocabulary of :mod:`harness.tracing`.
This room matches their parameters, compares them in float64, walks to the calls that differ, and names the
cause by trying it in plain NumPy. It may import the worker's processes and the records. It must not know a
framework, nor how findings are shown.
"""

from typing import Any

__all__ = ["assert_same_model", "check"]


def __getattr__(name: str) -> Any:
    """``check`` and ``assert_same_model``, imported when asked for: NumPy and SciPy are behind them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness.port import api

    return getattr(api, name)
