"""Membership inference: can one tell from a sample's loss whether the network was trained on it?

The attack of Yeom et al. (2018): samples with a loss below a threshold are called training samples. Records
hold the losses of training and of test samples after the last epoch. It says what this attack finds, which is
the weakest of all: a small area is no proof of privacy.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from harness.core.runs.record import Record
from harness.core.stats.canaries import CanaryBound, epsilon_bound
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import (
    CONFIDENCE,
    Array,
    bounded_ends,
    bounded_interval,
    wider,
)
from harness.core.training.scoring import unpacked

#: The share of test samples that may be called training samples, for :attr:`Membership.true_positives`.
FALSE_POSITIVES = 0.01
_FEWEST = 2
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


class Membership(NamedTuple):
    """What the attack finds: ``area`` is that under its ROC curve, 0.5 for guessing.

    ``true_positives`` is the largest share of training samples found with at most 1 % of test samples called
    so; ``false_positives`` is the share of test samples that it takes, which is less where losses are tied.
    """

    area: Estimate
    true_positives: Estimate
    false_positives: float


def membership(record: Record) -> Membership | None:
    """The attack on one run after its last epoch; None where the record lacks losses of either side."""
    members, others = record.train_samples_at_last, record.test_samples(best=False)
    if members is None or others is None:
        return None
    return attack(unpacked(members).losses, unpacked(others).losses)


def attack(members: Array, others: Array) -> Membership | None:
    """The attack by losses of training samples and of others; losses that are not finite are left out."""
    members, others = (np.sort(side[np.isfinite(side)]) for side in (members, others))
    if not len(members) or not len(others):
        return None
    rate, realised = _at_few_false_positives(members, others)
    return Membership(_area(members, others), _share(rate, len(members)), realised)


def _area(members: Array, others: Array) -> Estimate:
    """The share of pairs whose member has the lower loss, ties counted half; interval of DeLong (1988).

    The interval is symmetric on the scale of the logit, so that it stays between 0 and 1.
    """
    m, n = len(members), len(others)
    above = n - 0.5 * (np.searchsorted(others, members, "left") + np.searchsorted(others, members, "right"))
    below = 0.5 * (np.searchsorted(members, others, "left") + np.searchsorted(members, others, "right"))
    area = float(above.mean() / n)
    if min(m, n) < _FEWEST:
        return Estimate(area, None, None, m + n)
    variance = np.var(above / n, ddof=1) / m + np.var(below / m, ddof=1) / n
    low, high = bounded_ends(np.asarray(area), np.asarray(_Z * math.sqrt(variance)), 1.0)
    return Estimate(area, float(low), float(high), m + n)


def _at_few_false_positives(members: Array, others: Array) -> tuple[float, float]:
    """The true and the false positives of the threshold with at most 1 % of the latter.

    A threshold is a loss; samples with equal losses are called the same, so not every share is possible.
    """
    most = math.floor(FALSE_POSITIVES * len(others))
    below = np.searchsorted(others, np.unique(np.concatenate([members, others])), "right")
    thresholds = np.unique(np.concatenate([members, others]))[below <= most]
    if not len(thresholds):
        return 0.0, 0.0
    highest = thresholds[-1]
    found, called = (int(np.searchsorted(side, highest, "right")) for side in (members, others))
    return found / len(members), called / len(others)


def _share(share: float, n: int) -> Estimate:
    """A share of ``n`` samples with the interval of Wilson (1927)."""
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half), n)


def audit(record: Record) -> CanaryBound | None:
    """The lower bound on epsilon that the canaries of a run give; None without canaries.

    A canary with a low loss is guessed to have taken part (Steinke, Nasr and Jagielski 2023).
    """
    canaries, made = record.canaries, record.privacy
    if canaries is None or made is None:
        return None
    losses = unpacked(canaries.scores).losses
    bits = np.unpackbits(np.frombuffer(canaries.included, np.uint8), count=canaries.scores.count)
    return epsilon_bound(-np.nan_to_num(losses, nan=np.inf), bits.astype(bool), made.delta)


def of_runs(records: Sequence[Record]) -> Membership | None:
    """The mean over runs; of the interval over seeds and the mean one over samples, the wider.

    Runs have the same test samples, so that their intervals over samples do not shrink with their number.
    """
    found = [each for each in map(membership, records) if each is not None]
    if not found:
        return None
    return Membership(
        _joined([each.area for each in found]),
        _joined([each.true_positives for each in found]),
        float(np.mean([each.false_positives for each in found])),
    )


def _joined(estimates: Sequence[Estimate]) -> Estimate:
    over_seeds = bounded_interval([each.value for each in estimates], 1.0)
    assert over_seeds is not None  # noqa: S101  there are runs
    ends = [(each.low, each.high) for each in estimates if each.low is not None and each.high is not None]
    if len(ends) < len(estimates):
        return over_seeds
    low, high = np.mean(ends, axis=0).tolist()
    over_samples = Estimate(over_seeds.value, low, high, len(estimates))
    return over_samples if over_seeds.low is None else wider(over_samples, over_seeds) or over_samples
