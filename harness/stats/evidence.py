"""Evidence that pairs shift in one direction, which may be looked at after every pair.

A bet on the sign of each pair (Shafer 2021; Ramdas et al. 2023): before a pair, a probability is stated that
its sign is positive, and the evidence, which begins at 1, is multiplied by twice the probability of the sign
that came. If signs are coin tosses, the expected evidence stays 1, so it reaches 1 / level at any time with a
probability of at most ``level`` (Ville 1939). Unlike a p-value it needs no plan of looks: a test may end, or
go on, for any reason. As with the sign-flip test, nothing is assumed about the sizes of the pairs.

The probability is that of a shift with Student noise, from the pairs before; of the first four, which are
made in any case, from their sizes without signs. A bad guess costs power and never the level.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Pairs before there is any evidence. The bets on them know the sizes of all of them.
FIRST_PAIRS = 4
#: No bet is surer than this, so that a single pair of the other sign divides the evidence by 17 at most. It
#: takes 10 pairs of one sign, as an exact test does, to reach a level of 1 in 600.
_SUREST = 0.97
#: Degrees of freedom of Student's t: so few that an outlier carries little weight.
_DEGREES = 3
#: Before there are pairs the noise is taken to be 2 %, with the weight of three pairs. Pairs of equal
#: processes differ by 1 % on a quiet machine and by 2 to 5 % on a busy one.
_USUAL_NOISE, _USUAL_PAIRS = 0.02, 3
#: Pairs that hardly differ from each other do not make the noise smaller than this share of the shift.
_LEAST_NOISE_SHARE = 0.1
#: The standard deviation of normal values over their median absolute deviation.
_MAD_SCALE = 1.4826
#: A forecast of more pairs than this is no forecast.
_TOO_MANY = 1000


def log_evidence(values: Array, least: float) -> Array:
    """The natural logarithm of the evidence after each pair that ``values`` ``(pairs,)`` centre above 0.

    ``least`` is the smallest shift that matters, above 0: the bets expect this one or, once the pairs show
    it, a larger one. There is no evidence (0.0) after fewer than four pairs.
    """
    sizes = [abs(float(value)) for value in values[:FIRST_PAIRS]]
    evidence, total, known = np.zeros(len(values)), 0.0, list[float]()
    for number, value in enumerate(map(float, values)):
        shift, noise = _guess(sizes if number < FIRST_PAIRS else known, least)
        total += _log_bet(value, shift, noise)
        evidence[number] = total if number >= FIRST_PAIRS - 1 else 0.0
        known.append(value)
    return evidence


def evidence_p_value(values: Array, least: float) -> float:
    """The p-value that stays valid however often it is computed: 1 / the largest evidence so far."""
    return float(np.exp(-max(0.0, log_evidence(values, least).max(initial=0.0))))


def fewest_pairs(level: float) -> int:
    """The fewest pairs, all of one sign, with which the evidence reaches 1 / level."""
    return max(FIRST_PAIRS, math.ceil(-math.log(level) / math.log(2 * _SUREST) - 1e-9))


def more_pairs(values: Array, least: float, level: float) -> int | None:
    """About how many more pairs like ``values`` take the evidence to 1 / level; None if they never do.

    0 if it is reached. Every pair is taken to add what one of these would on average by the present guess.
    """
    if len(values) < 2:  # noqa: PLR2004  one pair shows no noise
        return max(1, fewest_pairs(level) - len(values))
    evidence = log_evidence(values, least)
    if evidence.max() >= -math.log(level):
        return 0
    shift, noise = _guess(values.tolist(), least)
    gain = statistics.fmean(_log_bet(value, shift, noise) for value in values.tolist())
    missing = -math.log(level) - float(evidence[-1])
    if gain * _TOO_MANY < missing:
        return None
    return max(1, fewest_pairs(level) - len(values), math.ceil(missing / gain))


def _guess(known: Sequence[float], least: float) -> tuple[float, float]:
    """Shift and noise to expect of the next pair. Of a larger shift only as much as is rather sure."""
    middle = statistics.median(known)  # of so few values faster than NumPy's
    usual = [_USUAL_NOISE / _MAD_SCALE] * _USUAL_PAIRS
    noise = _MAD_SCALE * statistics.median([*(abs(value - middle) for value in known), *usual])
    noise = max(noise, _LEAST_NOISE_SHARE * least)
    return max(least, middle - noise / math.sqrt(len(known))), noise


def _log_bet(value: float, shift: float, noise: float) -> float:
    """The logarithm of twice the probability that a pair of this size has this sign."""
    degrees = _DEGREES
    odds = ((degrees + ((value + shift) / noise) ** 2) / (degrees + ((value - shift) / noise) ** 2)) ** (
        (degrees + 1) / 2
    )
    return math.log(2 * min(_SUREST, max(1 - _SUREST, odds / (1 + odds))))
