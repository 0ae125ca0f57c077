"""Evidence that pairs shift in one direction; it may be computed after every pair.

Two bets are averaged. If the pairs centre on 0, the expected evidence of each bet stays 1, and so does that
of their mean, which reaches 1 / level at any time with a probability of at most ``level`` (Ville 1939).
Unlike a p-value it needs no plan of looks: a test may end, or go on, for any reason.

The bet on *signs* (Shafer 2021; Ramdas et al. 2023) assumes nothing about the sizes of the pairs. Before a
pair, a probability is stated that its sign is positive; the evidence, which begins at 1, is multiplied by
twice the probability of the observed sign. The probability is that of a shift with Student noise, estimated
from the pairs before; for the first four pairs, which are always made, from their sizes without signs. A bad
guess costs power and never the level. But the bet needs ten pairs of one sign, however large they are.

The bet on *magnitudes* is the normal mixture of Robbins (1970), over shifts above 0 with a half-normal prior.
It assumes normal noise with a deviation of at most :data:`_LEAST_DEVIATION`, or twice that of the pairs.
Equal processes that differ by more than 10 % as a whole, but not in the first four pairs, would deceive it.
``tests/benchmarks/decisions.py`` measures its false alarms on pairs of equal code and on two such modes.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Pairs before there is any evidence. The bets on them know the sizes of all of them.
FEWEST_PAIRS = 4
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


#: The bet on magnitudes takes the noise to have at least this standard deviation, and at least this many
#: times that of the pairs so far, by the sample and by its median deviation. It expects shifts of 20 %.
_LEAST_DEVIATION, _DEVIATION_FACTOR = 0.06, 2.0
_PRIOR_SHIFT = 0.2
_LOG_HALF = -math.log(2)


def log_evidence(values: Array, least: float) -> Array:
    """Return the natural logarithm of the evidence after each pair that ``values`` centre above 0.

    ``values`` has the shape ``(pairs,)``. ``least`` is the smallest shift that matters, above 0: the bets on
    signs expect ``least`` or, once the pairs show it, a larger shift. The evidence is 0.0 after fewer than
    four pairs.
    """
    signs = _log_evidence_of_signs(values, least)
    numbers = range(FEWEST_PAIRS, len(values) + 1)
    signs[FEWEST_PAIRS - 1 :] = np.logaddexp(
        signs[FEWEST_PAIRS - 1 :], [_log_evidence_of_magnitudes(values[:pairs]) for pairs in numbers]
    )
    signs[FEWEST_PAIRS - 1 :] += _LOG_HALF
    return signs


def _log_evidence_of_signs(values: Array, least: float) -> Array:
    sizes = [abs(float(value)) for value in values[:FEWEST_PAIRS]]
    evidence, total, known = np.zeros(len(values)), 0.0, list[float]()
    for number, value in enumerate(map(float, values)):
        shift, noise = _guess(sizes if number < FEWEST_PAIRS else known, least)
        total += _log_bet(value, shift, noise)
        evidence[number] = total if number >= FEWEST_PAIRS - 1 else 0.0
        known.append(value)
    return evidence


def _log_evidence_of_magnitudes(values: Array) -> float:
    """Return the logarithm of the evidence of all ``values`` together, at least two."""
    return float(_log_mixture(np.array([len(values)]), float(values.mean()), _deviation(values))[0])


def _deviation(values: Array) -> float:
    """Return the assumed standard deviation of the noise."""
    robust = _MAD_SCALE * float(np.median(np.abs(values - np.median(values))))
    return max(_LEAST_DEVIATION, _DEVIATION_FACTOR * max(float(values.std(ddof=1)), robust))


def _log_mixture(pairs: npt.NDArray[np.int_], mean: float, deviation: float) -> Array:
    """Return the log evidence of ``pairs`` with this mean, and noise of this deviation.

    The likelihood ratio of a shift to none, averaged over shifts of a half-normal prior (Robbins 1970,
    equation 17): 2 √(σ² / v) exp(z² / 2) Φ(z) with v = σ² + n τ² and z = n mean τ / (σ √v).
    """
    from scipy.special import log_ndtr  # scipy.stats takes half a second to import

    total = deviation**2 + pairs * _PRIOR_SHIFT**2
    z = pairs * mean * _PRIOR_SHIFT / (deviation * np.sqrt(total))
    evidence: Array = np.log(2 * deviation / np.sqrt(total)) + z**2 / 2 + log_ndtr(z)
    return evidence


def evidence_p_value(values: Array, least: float) -> float:
    """Return 1 / the largest evidence so far: a p-value that stays valid however often it is computed."""
    return float(np.exp(-max(0.0, log_evidence(values, least).max(initial=0.0))))


def more_pairs(values: Array, least: float, level: float) -> int | None:
    """Estimate how many more pairs like ``values`` take the evidence to 1 / level; None if no number does.

    0 if it is reached. Every further pair is assumed to add the mean gain of ``values`` under the present
    guess.
    """
    made = len(values)
    if made < 2:  # noqa: PLR2004  one pair shows no noise
        return max(1, FEWEST_PAIRS - made)
    evidence = log_evidence(values, least)
    if evidence.max() >= -math.log(level):
        return 0
    shift, noise = _guess(values.tolist(), least)
    gain = statistics.fmean(_log_bet(value, shift, noise) for value in values.tolist())
    more = np.arange(max(1, FEWEST_PAIRS - made), _TOO_MANY + 1)
    signs = float(_log_evidence_of_signs(values, least)[-1])
    if made < FEWEST_PAIRS:
        signs = gain * made
    coming = np.logaddexp(
        signs + gain * more, _log_mixture(made + more, float(values.mean()), _deviation(values))
    )
    reached = coming + _LOG_HALF >= -math.log(level)
    return int(more[reached.argmax()]) if reached.any() else None


def _guess(known: Sequence[float], least: float) -> tuple[float, float]:
    """Estimate shift and noise of the next pair from the ``known`` pairs.

    A shift larger than ``least`` counts by its lower bound of one standard error.
    """
    middle = statistics.median(known)  # of so few values faster than NumPy's
    usual = [_USUAL_NOISE / _MAD_SCALE] * _USUAL_PAIRS
    noise = _MAD_SCALE * statistics.median([*(abs(value - middle) for value in known), *usual])
    noise = max(noise, _LEAST_NOISE_SHARE * least)
    return max(least, middle - noise / math.sqrt(len(known))), noise


def _log_bet(value: float, shift: float, noise: float) -> float:
    """Return the logarithm of twice the probability that a pair of this size has this sign."""
    degrees = _DEGREES
    odds = ((degrees + ((value + shift) / noise) ** 2) / (degrees + ((value - shift) / noise) ** 2)) ** (
        (degrees + 1) / 2
    )
    return math.log(2 * min(_SUREST, max(1 - _SUREST, odds / (1 + odds))))
