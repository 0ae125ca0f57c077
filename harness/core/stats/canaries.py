"""A lower bound on epsilon from one training with canaries, each included by a coin (Steinke et al. 2023).

Whoever claims (epsilon, delta) claims that the guesses of which canaries took part are right no more often
than a bound says. A bound that exceeds the claim refutes it. One that does not proves nothing.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.core.stats.intervals import CONFIDENCE, Array

#: The shares of canaries about which something is guessed; the best of them counts, each tested at its part
#: of the error (Bonferroni).
_GUESSED = (0.02, 0.05, 0.1, 0.25, 0.5)
_LARGEST = 50.0
_PRECISION = 1e-9


class CanaryBound(NamedTuple):
    """``epsilon`` is exceeded by the true one at 95 % confidence: ``right`` of ``guesses`` were right."""

    epsilon: float
    guesses: int
    right: int


def epsilon_bound(scores: Array, included: npt.NDArray[np.bool_ | np.int64], delta: float) -> CanaryBound:
    """Bound epsilon by the scores of the canaries ``(m,)`` and their inclusion ``(m,)`` bool.

    Canaries with the highest scores are guessed to be included, those with the lowest not.
    """
    m, included = len(scores), included.astype(np.int64)
    order = np.argsort(-scores, kind="stable")
    bounds = []
    for guesses in sorted({2 * max(1, round(share * m / 2)) for share in _GUESSED if m > 1}):
        half = guesses // 2
        right = int(included[order[:half]].sum() + (1 - included[order[m - half :]]).sum())
        error = (1 - CONFIDENCE) / len(_GUESSED)
        bounds.append(CanaryBound(_bound(m, guesses, right, delta, error), guesses, right))
    return max(bounds, default=CanaryBound(0.0, 0, 0))


def _bound(m: int, guesses: int, right: int, delta: float, error: float) -> float:
    """Return the smallest epsilon that does not contradict ``right`` of ``guesses`` guesses at this error."""
    from scipy.optimize import bisect

    if p_value(m, guesses, right, 0.0, delta) > error:
        return 0.0
    root = bisect(lambda epsilon: p_value(m, guesses, right, epsilon, delta) - error, 0.0, _LARGEST)
    return max(0.0, float(root) - _PRECISION)  # a bound must not lie beyond the root


def p_value(m: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Bound the probability of at least ``right`` right guesses under (epsilon, delta); theorem 5.2."""
    from scipy.special import bdtr  # scipy.stats takes half a second to import

    chance = 1 / (1 + math.exp(-epsilon))
    below = np.concatenate([[0.0], bdtr(np.arange(guesses + 1), guesses, chance)])  # P(fewer than k)
    beta = 1.0 - below[right]
    if not delta or not right:
        return float(min(1.0, beta))
    # The largest over i of P(right - i <= guesses that are right < right) / i.
    fewer = np.arange(1, right + 1)
    alpha = float(np.max((below[right] - below[right - fewer]) / fewer))
    return float(min(1.0, beta + 2 * m * delta * alpha))
