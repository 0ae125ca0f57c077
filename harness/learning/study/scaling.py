"""How a score depends on the number of training samples: a power law, fitted to the variants of a study."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import Array
from harness.learning.study.effects import StudyFinding
from harness.learning.study.quantities import Quantity

#: A law with a floor has three parameters.
_FEWEST_AMOUNTS = 4
_RESAMPLES = 400
_SEED = 0
#: Exponents that are tried; learning curves have exponents below 1 (Hestness et al. 2017).
_EXPONENTS = np.geomspace(0.02, 2.0, 160)


class Scaling(NamedTuple):
    """``loss = floor + factor * samples ** -exponent``, over the amounts of a study.

    ``levels`` are means over seeds at ``samples``, ascending. ``doubled`` is what the law predicts for twice
    the largest amount, ``gain`` the share of the present loss that this removes. Intervals are percentiles
    over resampled seeds.
    """

    quantity: Quantity
    samples: list[int]
    levels: list[float]
    floor: float
    factor: float
    exponent: Estimate
    doubled: Estimate
    gain: Estimate

    def at(self, samples: float) -> float:
        """The loss that the law predicts for a number of samples."""
        return float(self.floor + self.factor * samples**-self.exponent.value)

    @property
    def gain_text(self) -> str:
        """``9 % [4, 14]``."""
        low, high = self.gain.low or 0.0, self.gain.high or 0.0
        return f"{100 * self.gain.value:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


class Amount(NamedTuple):
    """A number of training samples, and the loss of each seed with it."""

    samples: int
    by_seed: dict[int, float]


def amounts(study: StudyFinding) -> list[Amount]:
    """The amounts of data of a study's variants, ascending."""
    loss = study.quantities[study.study.kind.decisive[0]]
    best = study.study.kind.at == "best"
    found = []
    for _, _, runs in study.treated:
        samples = runs.runs[0].record.dataset.samples.get("train", 0)
        if values := loss.values(runs, best):
            found.append(Amount(samples, values))
    return sorted(found)


def scaling(study: StudyFinding) -> Scaling | None:
    """The law of the first decisive quantity; None for too few amounts of data or seeds that they share."""
    found = amounts(study)
    seeds = sorted(set.intersection(*(set(each.by_seed) for each in found))) if found else []
    if len({each.samples for each in found}) < _FEWEST_AMOUNTS or not seeds:
        return None
    samples = np.array([each.samples for each in found], float)
    losses = np.array([[each.by_seed[seed] for seed in seeds] for each in found])  # (amounts, seeds)
    law = _fit(samples, losses.mean(axis=1))
    rng = np.random.default_rng(_SEED)
    resampled = [
        _fit(samples, losses[:, rng.integers(0, len(seeds), len(seeds))].mean(axis=1))
        for _ in range(_RESAMPLES)
    ]
    twice = 2 * samples[-1]
    doubled = [_at(each, twice) for each in (law, *resampled)]
    gains = [1 - at / _at(each, samples[-1]) for at, each in zip(doubled, (law, *resampled), strict=True)]
    floor, factor, exponent = law
    return Scaling(
        quantity=study.quantities[study.study.kind.decisive[0]],
        samples=[each.samples for each in found],
        levels=losses.mean(axis=1).tolist(),
        floor=floor,
        factor=factor,
        exponent=_interval(exponent, [each[2] for each in resampled], len(seeds)),
        doubled=_interval(doubled[0], doubled[1:], len(seeds)),
        gain=_interval(gains[0], gains[1:], len(seeds)),
    )


def _fit(samples: Array, losses: Array) -> tuple[float, float, float]:
    """Floor, factor and exponent of least relative squares.

    For a given exponent the law is linear in the other two; neither may be negative.
    """
    best, least = (0.0, 0.0, 1.0), np.inf
    for exponent in _EXPONENTS:
        powers = samples**-exponent
        scaled = np.stack([1 / losses, powers / losses], axis=1)
        (floor, factor), *_ = np.linalg.lstsq(scaled, np.ones(len(losses)), rcond=None)
        if factor < 0:
            continue
        if floor < 0:
            floor, factor = 0.0, float(scaled[:, 1].sum() / (scaled[:, 1] ** 2).sum())
        error = float(((scaled @ np.array([floor, factor]) - 1) ** 2).sum())
        if error < least:
            best, least = (float(floor), float(factor), float(exponent)), error
    return best


def _at(law: tuple[float, float, float], samples: float) -> float:
    floor, factor, exponent = law
    return float(floor + factor * samples**-exponent)


def _interval(value: float, resampled: Sequence[float], seeds: int) -> Estimate:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Estimate(value, min(float(low), value), max(float(high), value), seeds)
