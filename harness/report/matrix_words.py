"""The runs of a matrix in one line: how many, and what varies."""

from collections.abc import Mapping, Sequence

from harness.plugins.options import Value
from harness.runs.identity import value_text


def matrix_sentence(axes: Mapping[str, Sequence[Value]], runs: int) -> str:
    """``12 runs: optimizer adam, sgd × seed 0 to 2``; empty for a single run."""
    if runs == 1:
        return ""
    return f"{runs} runs: " + " × ".join(f"{name} {_values(values)}" for name, values in axes.items())


def _values(values: Sequence[Value]) -> str:
    """The values, or the ends of three or more consecutive integers."""
    first = values[0]
    consecutive = isinstance(first, int) and list(values) == [*range(first, first + len(values))]
    if consecutive and len(values) > 2:  # noqa: PLR2004
        return f"{first} to {values[-1]}"
    return ", ".join(map(value_text, values))
