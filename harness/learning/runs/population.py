"""Differences of test scores over paired seeds, with intervals over seeds and for the population.

An interval over seeds answers for this test set alone. That for the population includes the choice of its
samples too; it needs the scores of single samples, which records hold packed and which are read here alone.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.runs.record import Record
from harness.core.stats.equivalence import Equivalence, equivalence_of, mean_intervals
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import CONFIDENCE, FEWEST_FOR_INTERVAL, Array, wider
from harness.core.stats.sampling import Sampling, sampling
from harness.core.stats.scales import Scale, linearised
from harness.core.training.measures import Measure
from harness.core.training.outcome_records import SampleScores
from harness.core.training.scoring import Rows, unpacked

#: The scores that are means over samples, and what they are the mean of.
_OF_SAMPLES: dict[str, Callable[[Rows], Array]] = {
    "loss": lambda rows: rows.losses,
    "accuracy": lambda rows: rows.right,
}


class PairedScores(NamedTuple):
    """The differences of the seeds that both have ``(seeds,)``, ascending, and what the samples add.

    ``sampling`` is None where a run has no scores of single samples, the measure is no mean of them, or
    there are fewer than three seeds. Both are on the scale that :func:`paired_scores` was given.
    """

    differences: Array
    sampling: Sampling | None

    def wider(self, confidence: float = CONFIDENCE) -> Estimate | None:
        """Return the mean difference with the wider of its intervals, over seeds and for the population."""
        return wider(*mean_intervals(self.differences, self.sampling, confidence))

    def equivalence(self, margin: float, comparisons: int = 1) -> Equivalence:
        """Test whether the scores are equal; see :func:`harness.core.stats.equivalence.equivalence_of`."""
        return equivalence_of(self.differences, margin, comparisons, self.sampling)


def paired_scores(
    ours: Iterable[Record],
    theirs: Iterable[Record],
    measure: Measure,
    *,
    their_measure: Measure | None = None,
    our_best: bool = False,
    their_best: bool = False,
    scale: Scale | None = None,
) -> PairedScores:
    """Subtract the test scores of ``theirs`` from those of ``ours`` on the same seeds, in the measure's unit.

    They are those after the last epoch, or with ``our_best`` and ``their_best`` those of the weights of the
    best epoch. ``their_measure`` is the same quantity under the key of ``theirs``. With ``scale`` differences
    are those on that scale. Seeds without a finite score of both are left out; of several records with one
    seed the last counts.
    """
    first = _scored(ours, measure.key, best=our_best)
    second = _scored(theirs, (their_measure or measure).key, best=their_best)
    key = measure.key if measure == (their_measure or measure) else ""  # other rows are no means of it
    pairs = [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]
    factor = measure.factor
    scores = factor * np.array([(our.score, their.score) for our, their in pairs], np.float64).reshape(-1, 2)
    if scale is None or not pairs:
        return PairedScores(scores[:, 0] - scores[:, 1], _sampling(pairs, key, (factor, factor)))
    line = linearised(scores[:, 0], scores[:, 1], scale)
    weights = factor * line.slopes[0], factor * line.slopes[1]
    return PairedScores(line.differences, _sampling(pairs, key, weights))


class _Scored(NamedTuple):
    """A record's finite test score, and the scores of its samples."""

    record: Record
    score: float
    samples: SampleScores | None


def _scored(records: Iterable[Record], key: str, *, best: bool) -> dict[int, _Scored]:
    scores = {record.seed: (record, record.test_scores(best=best).get(key)) for record in records}
    return {
        seed: _Scored(record, score, record.test_samples(best=best))
        for seed, (record, score) in scores.items()
        if score is not None and math.isfinite(score)
    }


def _sampling(
    pairs: Sequence[tuple[_Scored, _Scored]], key: str, weights: tuple[float, float]
) -> Sampling | None:
    """Return what the samples add to the error of the mean difference, if all runs have the same samples.

    The difference is that of both sides' scores times their ``weights``.
    """
    every = [scored for pair in pairs for scored in pair]
    tests = {(scored.record.dataset.fingerprint, scored.samples and scored.samples.count) for scored in every}
    if len(pairs) < FEWEST_FOR_INTERVAL or key not in _OF_SAMPLES or len(tests) > 1:
        return None
    ours, theirs = (_table(side, key) for side in zip(*pairs, strict=True))
    if ours is None or theirs is None:
        return None
    values = weights[0] * ours - weights[1] * theirs
    return sampling(values, _blocks(every[0], values.shape[1])) if np.isfinite(values).all() else None


def _table(side: Sequence[_Scored], key: str) -> Array | None:
    """Return the scores ``(seeds, samples)``; None where a record has none."""
    known = [scored.samples for scored in side if scored.samples is not None]
    if len(known) < len(side):
        return None
    return np.stack([_OF_SAMPLES[key](unpacked(samples)) for samples in known])


def _blocks(scored: _Scored, samples: int) -> int | None:
    """Return the number of blocks for the samples of one text or series, where neighbours are alike.

    Its square root is a usual choice of their length and their number (method of batch means; Flegal and
    Jones 2010). None where each sample is drawn on its own.
    """
    outcomes = scored.record.outcomes
    of_series = outcomes is not None and outcomes.forecast is not None
    of_text = scored.samples is not None and bool(scored.samples.right_shares)
    return max(2, round(samples**0.5)) if of_series or of_text else None
