"""Differences of one training step, seen in what it moves, whatever code made the optimizer."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.port.pairing.matching import Matching
from harness.port.record import Cause

#: The relative residual of a move that is a multiple of the other side's.
_FITS = 1e-6
#: The difference of two moves, relative to the largest, that rounding alone may make.
_TOLERANCE = 1e-7


class _Moved(NamedTuple):
    """The move of a parameter in each side, by its names in A and B."""

    names: tuple[str, str]
    a: np.ndarray
    b: np.ndarray

    @property
    def gap(self) -> float:
        """The largest difference of both moves."""
        return float(np.abs(self.a - self.b).max())


def move_causes(
    matching: Matching,
    before: Mapping[str, np.ndarray],
    of_a: Mapping[str, np.ndarray],
    of_b: Mapping[str, np.ndarray],
) -> list[Cause]:
    """Find parameters that the first step moves differently: by another factor, or on one side alone.

    ``before`` are A's parameters before the step; ``of_a`` and ``of_b`` are the parameters after it.
    """
    moves = []
    for one, other, role, *_ in matching.arrays():
        if role.startswith("running") or one.name not in of_a or other.name not in of_b:
            continue
        weights, after = (one.canonical(of[one.name]).ravel() for of in (before, of_a))
        theirs = other.canonical(of_b[other.name]).ravel()
        if weights.size == theirs.size > 0:
            moves.append(_Moved((one.name, other.name), after - weights, theirs - weights))
    moves = [each for each in moves if each.a.any() or each.b.any()]
    largest = max((np.abs(move).max() for each in moves for move in (each.a, each.b)), default=0.0)
    found: dict[tuple[str, str], list[_Moved]] = {}
    for each in moves:
        if each.gap > _TOLERANCE * largest:
            found.setdefault(_texts(each), []).append(each)
    return [_cause(texts, of, largest, is_of_all=len(of) == len(moves)) for texts, of in found.items()]


def _cause(texts: tuple[str, str], of: list[_Moved], largest: float, *, is_of_all: bool) -> Cause:
    places = ("optimizer", "optimizer") if is_of_all else of[0].names
    cause = Cause.at("optimizer", *places, *texts, mode="steps")
    cause.before = None if any(texts) else max(each.gap for each in of) / largest
    cause.more = [] if is_of_all else list(dict.fromkeys(each.names[1] for each in of[1:]))
    return cause


def _texts(moved: _Moved) -> tuple[str, str]:
    """Describe the move of B as a factor of the move of A; the texts are empty if it is no multiple."""
    if not (moved.a.any() and moved.b.any()):
        texts = "moves in step 1", "does not move in step 1"
        return texts if moved.a.any() else texts[::-1]
    factor = float(moved.a @ moved.b / (moved.a @ moved.a))
    if np.abs(factor * moved.a - moved.b).max() > _FITS * np.abs(moved.b).max():
        return "", ""
    return "steps × 1", f"steps × {factor:.7g}"
