"""Membership inference: can one tell from a sample's loss whether the network was trained on it?

The attack of Yeom et al. (2018): samples with a loss below a threshold are called training samples. Records
hold the losses of training and of test samples after the last epoch. This attack is the weakest of all: a
small area is no proof of privacy.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from harness.core.runs.record import Record
from harness.core.stats.canaries import CanaryBound, epsilon_bound
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import CONFIDENCE, Array, bounded_ends, bounded_interval, wider
from harness.core.training.scoring import packed, score, unpacked
from harness.core.worker import saved_state
from harness.learning.privacy.record import CanaryScores, MemberScores, member_scores, privacy_claim
from harness.spec.data import Samples

if TYPE_CHECKING:
    from harness.core.worker.requests import Worker

#: Training samples whose scores a record holds: about 4 KiB.
KEPT = 2000
#: The share of test samples that may be called training samples, for :attr:`Membership.true_positives`.
FALSE_POSITIVES = 0.01
_FEWEST = 2
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


class Membership(NamedTuple):
    """The result of the attack: ``area`` is the area under its ROC curve, 0.5 for guessing.

    ``true_positives`` is the largest share of training samples found while at most 1 % of test samples are
    called training samples; ``false_positives`` is the realised share of test samples, less than 1 % where
    losses are tied.
    """

    area: Estimate
    true_positives: Estimate
    false_positives: float


def membership(record: Record) -> Membership | None:
    """Attack one run after its last epoch; None where the record lacks losses of either side."""
    members, others = member_scores(record), record.test_samples(best=False)
    if members is None or others is None:
        return None
    return attack(unpacked(members.samples).losses, unpacked(others).losses)


def attack(members: Array, others: Array) -> Membership | None:
    """Attack by the losses of ``members`` and of ``others``; losses that are not finite are left out."""
    members, others = (np.sort(side[np.isfinite(side)]) for side in (members, others))
    if not len(members) or not len(others):
        return None
    rate, realised = _at_few_false_positives(members, others)
    return Membership(_area(members, others), _share(rate, len(members)), realised)


def _area(members: Array, others: Array) -> Estimate:
    """Return the share of pairs whose member has the lower loss, with ties counted half.

    The interval is that of DeLong et al. (1988), symmetric on the scale of the logit, so that it stays
    between 0 and 1.
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
    """Return the true and the false positives of the highest threshold with at most 1 % false positives.

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
    """Return a share of ``n`` samples with the interval of Wilson (1927)."""
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half), n)


def audit(record: Record) -> CanaryBound | None:
    """Return the lower bound on epsilon that the canaries of a run give; None without canaries.

    A canary with a low loss is guessed to have taken part (Steinke, Nasr and Jagielski 2023).
    """
    members, claim = member_scores(record), privacy_claim(record)
    if members is None or members.canaries is None or claim is None:
        return None
    canaries = members.canaries
    losses = unpacked(canaries.scores).losses
    bits = np.unpackbits(np.frombuffer(canaries.included, np.uint8), count=canaries.scores.count)
    return epsilon_bound(-np.nan_to_num(losses, nan=np.inf), bits.astype(bool), claim.delta)


def of_runs(records: Sequence[Record]) -> Membership | None:
    """Return the mean over runs, with the wider of two intervals: over seeds, and the mean over samples.

    Runs have the same test samples, so that intervals over samples do not shrink with the number of runs.
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


class _Arguments(msgspec.Struct, frozen=True):
    """The arguments of :func:`operation`: a file of the state, and the limit on scored training samples."""

    state: str
    samples: int | None


def operation(worker: "Worker", arguments: msgspec.Raw) -> MemberScores | None:
    """Score training samples and canaries with the weights of a saved state.

    The samples are at most :data:`KEPT` of those that the run scores, evenly spread, the same at every call.
    """
    asked = msgspec.json.decode(arguments, type=_Arguments)
    saved_state.restore(worker.program, asked.state, with_state=False)
    task, predict = worker.plan.task, worker.program.predict
    samples = worker.scorer.samples("train", asked.samples)
    places = spread(len(samples), KEPT)
    kept = Samples(samples.inputs[places], samples.targets[places])
    scores, canaries = packed(score(task, predict, kept).rows), None
    if worker.canaries is not None:
        of_canaries = packed(score(task, predict, worker.canaries.samples).rows)
        included = np.packbits(worker.canaries.included).tobytes()
        canaries = None if of_canaries is None else CanaryScores(of_canaries, included)
    return None if scores is None else MemberScores(scores, canaries)


def spread(count: int, most: int) -> Array:
    """Return at most ``most`` of the places 0 to ``count - 1``, evenly spread, the ends among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))
