"""Where several axes vary: which, and how to choose what is compared."""

from harness.analysis.axes import BACKEND, text_on_axis
from harness.analysis.variation import Variation
from harness.report.phrases import listed

#: Values of an axis that are named, and axes that are offered together.
_MOST_VALUES = 4
_MOST_TOGETHER = 3


def variation_sentence(variation: Variation) -> str:
    """``Runs of mlp differ in optimizer (adam, sgd) and threads (1, 2). Choose with --by optimizer …``."""
    axes = list(variation.values)
    differences = listed([_axis(variation, axis) for axis in axes])
    settings = [axis for axis in axes if axis != BACKEND]
    choices = [f"--by {axis}" for axis in settings]
    if 1 < len(settings) <= _MOST_TOGETHER:
        choices.append(f"--by {','.join(settings)} for every combination")
    *first, last = choices
    alternatives = f"{', '.join(first)} or {last}" if first else last
    backends = "Backends are compared under equal settings. " if BACKEND in axes else ""
    return (
        f"Runs of {variation.task} on {variation.dataset} differ in {differences}. {backends}"
        f"To compare settings, add {alternatives}."
    )


def _axis(variation: Variation, axis: str) -> str:
    values = [text_on_axis(axis, value) for value in variation.values[axis]]
    more = len(values) - _MOST_VALUES
    shown = ", ".join(values[:_MOST_VALUES]) + (f" and {more} more" if more > 0 else "")
    return f"{axis} ({shown})"
