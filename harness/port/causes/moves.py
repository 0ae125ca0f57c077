"""Differences of one training step, seen in what it moves, whatever code made the optimizer."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.port.pairing.matching import Matching
from harness.port.record import Cause

#: The relative residual of a move that has a known form, and the least numbers of an array that shows two.
_FITS, _LEAST_NUMBERS = 1e-6, 3
#: The difference of two moves, relative to the largest, that rounding alone may make.
_TOLERANCE = 1e-7


class _Texts(NamedTuple):
    """The kind of a cause and the text of each side."""

    kind: str
    a: str
    b: str


class _Moved(NamedTuple):
    """A parameter before a step, by its names in A and B, and its move in each."""

    names: tuple[str, str]
    weights: np.ndarray
    a: np.ndarray
    b: np.ndarray


def move_causes(
    matching: Matching,
    before: Mapping[str, np.ndarray],
    of_a: Mapping[str, np.ndarray],
    of_b: Mapping[str, np.ndarray],
) -> list[Cause]:
    """Find parameters that the first step moves by another factor, or shrinks on one side alone.

    ``before`` are A's parameters; ``of_a`` and ``of_b`` are those after the step.
    """
    moves = []
    for one, other, role, *_ in matching.arrays():
        if role.startswith("running") or one.name not in of_a or other.name not in of_b:
            continue
        operation = matching.operation(other)
        weights, after = (operation.applied(one.canonical(of[one.name])).ravel() for of in (before, of_a))
        theirs = other.canonical(of_b[other.name]).ravel()
        if weights.size == theirs.size > 0:
            moves.append(_Moved((one.name, other.name), weights, after - weights, theirs - weights))
    moves = [each for each in moves if each.a.any() or each.b.any()]
    largest = max((np.abs(move).max() for each in moves for move in (each.a, each.b)), default=0.0)
    found: dict[_Texts, list[tuple[str, str]]] = {}
    for each in moves:
        if np.abs(each.a - each.b).max() > _TOLERANCE * largest and (texts := _texts(each)):
            found.setdefault(texts, []).append(each.names)
    return [_cause(texts, names, is_of_all=len(names) == len(moves)) for texts, names in found.items()]


def _cause(texts: _Texts, names: list[tuple[str, str]], *, is_of_all: bool) -> Cause:
    places = ("optimizer", "optimizer") if is_of_all else names[0]
    cause = Cause.at(texts.kind, *places, texts.a, texts.b, mode="steps")
    cause.more = [] if is_of_all else list(dict.fromkeys(other for _, other in names[1:]))
    return cause


def _texts(moved: _Moved) -> _Texts | None:
    """Describe the move of B as a factor of the move of A, or as a further decay; None if it is neither."""
    weights, a, b = moved.weights, moved.a, moved.b
    if not (a.any() and b.any()):
        texts = "moves in step 1", "does not move in step 1"
        return _Texts("optimizer", *(texts if a.any() else texts[::-1]))
    least = _FITS * np.abs(b).max()
    factor = float(a @ b / (a @ a))
    if np.abs(factor * a - b).max() <= least:
        return _Texts("optimizer", "steps × 1", f"steps × {_factor(factor)}")
    if weights.size < _LEAST_NUMBERS:
        return None
    factor, share = map(float, np.linalg.lstsq(np.stack([a, weights], axis=-1), b, rcond=None)[0])
    if np.abs(factor * a + share * weights - b).max() > least:
        return None
    decay = f"a further decay of {abs(share):.4g} in a step"
    if abs(factor - 1.0) > _FITS:
        further = decay if share < 0 else decay.replace("further", "lesser")
        return _Texts("optimizer", "steps × 1", f"steps × {_factor(factor)}, {further}")
    return _Texts("weight decay", decay, "") if share > 0 else _Texts("weight decay", "", decay)


def _factor(factor: float) -> str:
    """Return a factor to the digit in which it differs from 1."""
    texts = (f"{factor:.{digits}g}" for digits in (4, 7, 10, 17))
    return next((text for text in texts if text != "1"), "1")
