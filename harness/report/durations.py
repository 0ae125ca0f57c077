"""Durations in the words of output: ``40 s``, ``3 min``."""

_SECONDS_SHOWN = 99.5


def about(seconds: float) -> str:
    """Whole seconds, or minutes from 100 s on: ``40 s``, ``3 min``."""
    return f"{seconds:.0f} s" if seconds < _SECONDS_SHOWN else f"{seconds / 60:.0f} min"


def time_left(seconds: float) -> str:
    """``about 40 s left``."""
    return f"about {about(seconds)} left"
