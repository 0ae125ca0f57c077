"""Evidence that pairs shift in one direction, which may be looked at after every pair.

A bet on the sign of each pair (Shafer 2021; Ramdas et al. 2023): before a pair, a probability is stated that
its sign is positive, and the evidence, which begins at 1, is multiplied by twice the probability of the sign
that came. If signs are coin tosses, the expected evidence stays 1, so it reaches 1 / level at any time with a
probability of at most ``level`` (Ville 1939). Unlike a p-value it needs no plan of looks: a test may end, or
go on, for any reason. As with the sign-flip test, nothing is assumed about the sizes of the pairs.

The probability is that of a shift with Student noise, from the pairs before; of the first four, which are
made in any case, from their sizes without signs. A bad guess costs power and never the level.
"""

import functools
import math
import statistics
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.stats.estimate import Estimate

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


# Inference from the log ratios of pairs: an exact test and an interval.
#
# The unit is the pair of fresh processes, because the steps of one process are not independent. Under the
# null hypothesis the sign of each pair's log ratio is a coin toss, because chance decides which configuration
# goes first. Nothing else is assumed about the distribution of the ratios.

#: Up to this number of pairs all sign patterns are counted; beyond it a sample of them is drawn. A gate
#: judges at most 44 pairs (4 of its look and 40 of its confirmation), a duel 40.
EXACT_UP_TO = 44
_PATTERNS_DRAWN = 2**16
_BOOTSTRAP_RESAMPLES = 10_000
_FEWEST_FOR_INTERVAL = 5
#: The share of the resamples beyond each end of an interval.
_TAIL = 0.025
#: A resample's standard error is taken to be at least this share of that of all pairs. A resample without the
#: only outlier among pairs that hardly vary would otherwise have an unbounded t.
_LEAST_ERROR_SHARE = 0.1
_SEED = 20

Alternative = Literal["two-sided", "greater", "less"]


def p_value(
    log_ratios: np.ndarray,
    alternative: Alternative = "two-sided",
) -> float:
    """The sign-flip test (Fisher 1935, section 21) of whether log ratios ``(pairs,)`` centre on 0.

    The statistic is the mean; the p-value is the share of sign patterns whose mean is as extreme. It is exact
    up to 44 pairs; beyond, a seeded sample of patterns is drawn. With ``n`` pairs no two-sided p-value is
    below ``2 ** (1 - n)``.
    """
    if len(log_ratios) < 2:  # noqa: PLR2004  one sign shows nothing
        return 1.0
    return _share_as_extreme(tuple(np.asarray(log_ratios, float)), alternative)


@functools.lru_cache(maxsize=1024)  # the p-values of earlier looks are needed again after every pair
def _share_as_extreme(values: tuple[float, ...], alternative: Alternative) -> float:
    if len(values) > EXACT_UP_TO:
        return _drawn_share(values, alternative)
    # The 2 ** n sums are never stored: each is one of the left half's plus one of the right half's.
    half = len(values) // 2
    left, right = (np.sort(_signed_sums(part)) for part in (values[:half], values[half:]))
    observed, rounding = sum(values), 1e-12 * sum(map(abs, values))
    below = np.searchsorted(right, observed - rounding - left, "left").mean()
    up_to = np.searchsorted(right, observed + rounding - left, "right").mean()
    shares = {"greater": float(1 - below / len(right)), "less": float(up_to / len(right))}
    return shares.get(alternative, min(1.0, 2 * min(shares.values())))


def _signed_sums(values: tuple[float, ...]) -> np.ndarray:
    """The sum of the values under every pattern of signs, ``(2 ** values,)``."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _drawn_share(values: tuple[float, ...], alternative: Alternative) -> float:
    from scipy.stats import permutation_test  # with one sample, "samples" means flipped signs

    result = permutation_test(
        (np.array(values),),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PATTERNS_DRAWN,
        alternative=alternative,
        rng=np.random.default_rng(_SEED),
    )
    return float(result.pvalue)


def bootstrap_interval(log_ratios: np.ndarray) -> Estimate:
    """The mean of log ratios ``(pairs,)``, with its 95 % bootstrap-t interval.

    After Efron and Tibshirani (1993, section 12.5). The deviation of the mean is studentised, which keeps the
    level with few pairs, where the percentile interval is too short. There is no interval for fewer than 5
    pairs: they have too few different resamples.
    """
    values = np.asarray(log_ratios, float)
    pairs, mean = len(values), float(values.mean())
    if pairs < _FEWEST_FOR_INTERVAL:
        return Estimate(mean, None, None, pairs)
    error = float(_standard_error(values))
    if error == 0.0:
        return Estimate(mean, mean, mean, pairs)
    drawn = values[np.random.default_rng(_SEED).integers(0, pairs, (_BOOTSTRAP_RESAMPLES, pairs))]
    means, errors = drawn.mean(-1), _standard_error(drawn)
    varied = errors > 1e-9 * error  # a resample that repeats one pair has no t
    t = (means[varied] - mean) / np.maximum(errors[varied], _LEAST_ERROR_SHARE * error)
    low, high = np.quantile(t, [_TAIL, 1.0 - _TAIL])
    return Estimate(mean, mean - float(high) * error, mean - float(low) * error, pairs)


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over the last axis."""
    error: np.ndarray = values.std(-1, ddof=1) / math.sqrt(values.shape[-1])
    return error


def smallest_p_value(pairs: int, alternative: Alternative = "two-sided") -> float:
    """The smallest p-value that this number of pairs can have."""
    exact = pairs <= EXACT_UP_TO
    smallest = 2.0**-pairs if exact else 1 / (_PATTERNS_DRAWN + 1)
    return 2 * smallest if alternative == "two-sided" else smallest


# When a test is made while pairs come in, and which share of the error each of these looks may use.
#
# Testing after every pair and stopping at the first success would call equal configurations different far too
# often. So the error is spent: every look uses a share of it, and the shares add up to one. By the union
# bound (Bonferroni) the error over all looks stays below the level, whatever the dependence between them.

#: The most pairs of two configurations; with the last one all error is spent.
MOST_PAIRS = 40
#: Looks are made at these numbers of pairs and at the end. More looks would find little sooner and leave less
#: error for each. With 10 pairs an exact test can reach a level of 0.001.
_AT = (10, 14, 20, 28)
_POWER = 4
#: The share of the error that the first look may use.
_SOON = 0.2


class Looks:
    """The looks made so far by one test, and the share of the error that each may use.

    The error used up to a look depends on the elapsed time, not on the data (Lan and DeMets 1983). It is the
    fourth power of the time (the family of Kim and DeMets 1987), so that most is left for the end, where
    there are most pairs; from the first look on it is at least a fifth, so that a verdict on pairs that
    hardly vary comes early.
    """

    def __init__(self) -> None:
        self.shares: dict[int, float] = {}

    @classmethod
    def single(cls, pairs: int) -> "Looks":
        """A single look, at a number of pairs that was fixed in advance."""
        looks = cls()
        looks.come_to(pairs, 1.0, last=True)
        return looks

    def come_to(self, pairs: int, progress: float, *, last: bool) -> None:
        """Report the number of pairs after a share ``progress`` (0 to 1) of the time.

        The ``last`` look may be at any number of pairs, provided that the data did not determine that it is
        the last.
        """
        if not last and pairs not in _AT:
            return
        due = 1.0 if last else max(_SOON, min(1.0, progress) ** _POWER)
        more = max(0.0, due - sum(self.shares.values()))
        self.shares[pairs] = self.shares.get(pairs, 0.0) + more

    def levels(self, total: float) -> dict[int, float]:
        """The level at each look, by its pairs, of a one-sided test whose error over all looks is ``total``.

        A share that a look cannot use, because no p-value of so few pairs is that small, goes to the next.
        """
        levels, carried = {}, 0.0
        for pairs, share in self.shares.items():
            carried += share
            if carried * total >= smallest_p_value(pairs, "less"):
                levels[pairs], carried = carried * total, 0.0
        return levels


def next_look(pairs: int) -> int:
    """The first look at this number of pairs or more; the number itself if there is none."""
    return next((look for look in (*_AT, MOST_PAIRS) if look >= pairs), pairs)
