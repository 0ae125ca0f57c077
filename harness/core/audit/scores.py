"""Reported scores compared with those that a program of the harness computes from the weights.

A program recognises the samples that it has trained on, in any order. So its answers are compared with the
weights that it hands out afterwards, at epochs that are drawn only then.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from harness.core.audit import budgets
from harness.core.audit.findings import Independent, ScoreDeviation
from harness.core.training.measures import Scores
from harness.core.training.scoring import Rows, load_rows, rows_file
from harness.core.worker import protocol
from harness.core.worker.session import Session
from harness.spec.backend import Precision
from harness.spec.data import Split
from harness.spec.task import Task, training_flops_per_sample

_RNG = random.SystemRandom()
#: A training step takes about three times the operations of a prediction.
_TRAINING_TO_FORWARD = 3


class Report(msgspec.Struct, frozen=True):
    """The scores that were reported after an epoch, by split, of at most ``samples`` samples of each."""

    epoch: int
    scores: dict[Split, Scores]
    samples: int | None


class ScoredState(msgspec.Struct, frozen=True):
    """Reported scores, the file with the state that they are of, and those of the scores of single samples.

    ``rows`` is the beginning of the paths of the latter.
    """

    report: Report
    state: Path
    rows: str


def compare_scores(
    session: Session, states: Sequence[ScoredState], folder: Path, task: Task, precision: Precision
) -> Independent:
    """Compare the reported scores with those of a program in NumPy, which was built in ``session``.

    The samples are drawn by this call.
    """
    flops = max(1, training_flops_per_sample(task) // _TRAINING_TO_FORWARD)
    most = max(1, min(budgets.SCORED_ROWS, budgets.SCORED_FLOPS // flops))
    rows, epochs = 0, set[int]()
    for each in states:
        deviation, count = _compare(session, each, most, folder, precision)
        if deviation is not None:
            return Independent(score=deviation)
        rows += count
        if count and "validation" in each.report.scores:
            epochs.add(each.report.epoch)
    return Independent(scored_rows=rows, scored_epochs=sorted(epochs))


def _compare(
    session: Session, scored: ScoredState, most: int, folder: Path, precision: Precision
) -> tuple[ScoreDeviation | None, int]:
    """Find a score that does not belong to the state; count the samples that were compared until then."""
    report, compared = scored.report, 0
    session.call(protocol.Replay(0, [], str(scored.state), complete=False), protocol.Trained)
    for split, scores in report.scores.items():
        rows = load_rows(rows_file(scored.rows, split))
        if not len(rows.losses):  # adversarial scores are of sets
            continue
        deviation = _mean_deviation(report.epoch, split, scores, rows.means())
        places = _RNG.sample(range(len(rows.losses)), min(most, len(rows.losses)))
        if deviation is None:
            path = folder / "numpy-rows.npy"
            session.call(protocol.ScoreRows(split, report.samples, places, str(path)), protocol.Done)
            deviation = _row_deviation(report.epoch, split, places, (rows, load_rows(path)), precision)
        if deviation is not None:
            return deviation, compared
        compared += len(places)
    return None, compared


def _mean_deviation(epoch: int, split: Split, scores: Scores, means: Scores) -> ScoreDeviation | None:
    """Find the first score that is not the mean of the samples' scores."""
    for name, mean in means.items():
        score = scores.get(name)
        if name in scores and score != mean and not _is_near(score, mean, budgets.MEAN_TOLERANCE):
            return ScoreDeviation(split, name, score, mean, epoch=epoch)
    return None


def _row_deviation(
    epoch: int, split: Split, places: list[int], rows: tuple[Rows, Rows], precision: Precision
) -> ScoreDeviation | None:
    """Find the first sample whose score NumPy does not confirm, if such samples are too many for rounding.

    ``rows`` are the scores reported for all samples, and the scores recomputed at ``places``. A few samples
    have two classes of almost the same logit, or logits so large that their rounding shows.
    """
    tolerance = budgets.ROUNDING[precision].score
    for name, ours, theirs in zip(("loss", "accuracy"), *rows, strict=True):
        compared = list(zip(places, ours[places].tolist(), theirs.tolist(), strict=True))
        wrong = [row for row in compared if not _is_near(row[1], row[2], tolerance)]
        if len(wrong) > budgets.ROUNDED_SHARE * len(compared):
            place, score, right = wrong[0]
            return ScoreDeviation(split, name, score, right, place, epoch)
    return None


def _is_near(a: float | None, b: float | None, tolerance: float) -> bool:
    if a is None or b is None or not (np.isfinite(a) and np.isfinite(b)):
        return a is b or (a is not None and b is not None and np.isfinite(a) == np.isfinite(b))
    return abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))
