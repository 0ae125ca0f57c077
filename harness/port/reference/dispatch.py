"""Which function computes a kind of call."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.tracing.semantics import Semantics

Arrays = Sequence[np.ndarray]
Parameters = Mapping[str, np.ndarray]


class NoReference(Exception):
    """There is no formula for such a call, or it does not fit these arrays."""


@functools.singledispatch
def formula(does: Semantics, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    """The outputs of a call; each kind registers its function."""
    raise NoReference(type(does).__name__)


def compute(does: Semantics, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> list[np.ndarray]:
    """The outputs of a call with these inputs and canonical parameters, in float64.

    Raises:
        NoReference: there is no formula for it, or it does not fit the arrays.
    """
    try:
        with np.errstate(all="ignore"):
            return formula(does, inputs, parameters)
    except (ValueError, IndexError, KeyError, TypeError, MemoryError) as error:
        raise NoReference(str(error)) from error
