"""Noisy binary search: the candidate of a row that changed the values, from values that vary.

Candidates are numbered from 0, the good one, to ``last``, the bad one. One of 1 to ``last`` is the culprit:
the candidates before it are like the good one, it and those after it are shifted by one effect. Each value,
the log ratio of one pair of a candidate and the good one, has Student noise around 0 or the effect. The
posterior over culprit and effect is exact on a grid; the next probe is the candidate that halves it (Horstein
1963; Karp and Kleinberg 2007; Waeber, Frazier and Henderson 2013).
"""

import functools
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Degrees of freedom of the noise: so few that one outlier among the pairs decides nothing.
_DEGREES = 2
#: Pairs of times that vary less are taken to vary by this much: processes of equal code differ by as much.
LEAST_SCALE = 0.02
_MAD_SCALE = 1.4826
#: Log ratios that the effect may have, and the deviation of their normal prior.
_EFFECTS = np.concatenate([np.linspace(0.005, 0.4, 80), np.geomspace(0.41, 5.0, 60)])
_PRIOR_DEVIATION = 0.5
#: A candidate whose mean is this many standard errors from both levels is at neither.
_FAR = 4.0
_FEWEST_TO_BE_FAR = 4


class Search:
    """The knowledge about the culprit; values are added one by one."""

    def __init__(self, last: int, least_scale: float = LEAST_SCALE) -> None:
        """Begin a search; ``last`` is the number of the bad candidate, at least 1.

        ``least_scale`` is a lower bound of the noise.
        """
        self.last, self._least_scale = last, least_scale
        self.values: dict[int, list[float]] = {}
        self.skipped: set[int] = set()

    def add(self, candidate: int, values: Sequence[float]) -> None:
        """Add log ratios of pairs of a candidate and the good one; for candidate 0, of two good processes."""
        self.values.setdefault(candidate, []).extend(values)
        self.__dict__.pop("_joint", None)

    def skip(self, candidate: int) -> None:
        """Mark a candidate that cannot be run. It may still be the culprit."""
        self.skipped.add(candidate)

    @property
    def scale(self) -> float:
        """The scale of the noise: the median deviation of the values from the median of their candidate."""
        off = [
            abs(value - float(np.median(of_one)))
            for of_one in self.values.values()
            if len(of_one) > 1
            for value in of_one
        ]
        # The deviations of two or three values are too small: one or two of the values are their median.
        pairs, candidates = len(off), sum(len(of_one) > 1 for of_one in self.values.values())
        correction = math.sqrt(pairs / (pairs - candidates)) if pairs > candidates else 1.0
        return max(self._least_scale, _MAD_SCALE * correction * float(np.median(off)) if off else 0.0)

    @functools.cached_property
    def _joint(self) -> Array:
        """The posterior ``(last, effects)`` of culprit 1 … ``last`` and effect."""
        scale, effects = self.scale, np.concatenate([-_EFFECTS[::-1], _EFFECTS])
        widths = np.gradient(effects)
        widths[[len(_EFFECTS) - 1, len(_EFFECTS)]] = widths[0] if len(_EFFECTS) == 1 else _EFFECTS[0]
        good = np.zeros(self.last + 1)
        bad = np.zeros((self.last + 1, len(effects)))
        for candidate, values in self.values.items():
            made = np.array(values)
            good[candidate] = _log_student(made / scale).sum()
            bad[candidate] = _log_student((made[:, None] - effects) / scale).sum(0)
        before = np.cumsum(good)[:-1]
        after = np.cumsum(bad[::-1], 0)[::-1][1:]
        prior = np.log(widths) - (effects / _PRIOR_DEVIATION) ** 2 / 2
        log_joint = before[:, None] + after + prior
        joint = np.exp(log_joint - log_joint.max())
        posterior: Array = joint / joint.sum()
        return posterior

    @property
    def posterior(self) -> Array:
        """The probability of each culprit ``(last,)``, of candidates 1 to ``last``."""
        posterior: Array = self._joint.sum(1)
        return posterior

    @property
    def effect(self) -> float:
        """The expected log ratio of bad to good."""
        return float(self._joint.sum(0) @ np.concatenate([-_EFFECTS[::-1], _EFFECTS]))

    @property
    def culprits(self) -> tuple[range, float]:
        """The likeliest culprit, and its probability.

        It is one candidate, together with the skipped candidates just before it: nothing tells them apart.
        """
        ends = [number for number in range(1, self.last + 1) if number not in self.skipped]
        groups = [range(before + 1, end + 1) for before, end in zip([0, *ends], ends, strict=False)]
        posterior = self.posterior
        sums = [float(posterior[group.start - 1 : group.stop - 1].sum()) for group in groups]
        best = max(range(len(groups)), key=sums.__getitem__)
        return groups[best], sums[best]

    def next_probe(self) -> int | None:
        """Return the candidate that splits the posterior most evenly.

        None if there is none between good and bad that can be run.
        """
        until = np.cumsum(self.posterior)
        between = [number for number in range(1, self.last) if number not in self.skipped]
        return min(between, key=lambda number: abs(until[number - 1] - 0.5), default=None)

    def at_neither_level(self) -> list[int]:
        """Return candidates whose values fit neither good nor bad: the row has more than one change."""
        scale, found = self.scale, []
        bad = self.values.get(self.last)
        effect = float(np.median(bad)) if bad else self.effect
        for number, values in sorted(self.values.items()):
            middle = float(np.median(values))
            own = _MAD_SCALE * float(np.median(np.abs(np.array(values) - middle)))
            error = max(scale, own) / math.sqrt(len(values))
            if len(values) >= _FEWEST_TO_BE_FAR and min(abs(middle), abs(middle - effect)) > _FAR * error:
                found.append(number)
        return found


def _log_student(t: Array) -> Array:
    """Return the logarithm of Student's density without its constant."""
    density: Array = -(_DEGREES + 1) / 2 * np.log1p(t**2 / _DEGREES)
    return density


def exact_search(same: Mapping[int, bool], last: int, skipped: Collection[int]) -> tuple[range, int | None]:
    """Search without noise: return the candidates that include the culprit, and the next to try.

    ``same`` says for each tried candidate if it is like the good one. None: nothing is left to try.
    """
    low = max((number for number, is_same in same.items() if is_same), default=0)
    high = min((number for number, is_same in same.items() if not is_same and number > low), default=last)
    between = [number for number in range(low + 1, high) if number not in skipped]
    probe = between[len(between) // 2] if between else None
    return range(low + 1, high + 1), probe
