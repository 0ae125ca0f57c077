"""Scores are those of the weights that a program hands out after it has reported them."""

from pathlib import Path

import numpy as np
import pytest
from support.tasks import defined

from harness.core.audit.findings import Independent, Verification
from harness.core.audit.scores import Report, ScoredState, compare_scores
from harness.core.audit.words import compared_with_numpy, curves_mark, work_fault
from harness.core.training.scoring import Rows, rows_file, save_rows
from harness.core.worker import protocol

SAMPLES = 300


def rows_of(epoch):
    """The scores of samples with the weights after an epoch."""
    random = np.random.default_rng(epoch)
    return Rows(random.random(SAMPLES), (random.random(SAMPLES) < 0.8).astype(float))


class Numpy:
    """A session whose program computes the scores of the loaded state."""

    def __init__(self):
        self.epoch = 0

    def call(self, request, _expected):
        if isinstance(request, protocol.Replay):
            self.epoch = int(Path(request.path).stem)
        else:
            save_rows(Path(request.path), Rows(*(each[request.rows] for each in rows_of(self.epoch))))


def scored(folder, epoch, forged=()):
    """The report of an epoch, in which samples of the ``forged`` splits are all right."""
    report = {}
    for split in ("train", "validation"):
        rows = Rows(np.zeros(SAMPLES), np.ones(SAMPLES)) if split in forged else rows_of(epoch)
        save_rows(rows_file(str(folder / str(epoch)), split), rows)
        report[split] = rows.means()
    return ScoredState(Report(epoch, report, None), folder / f"{epoch}.npz", str(folder / str(epoch)))


def compared(folder, *states):
    return compare_scores(Numpy(), states, folder, defined(), "float32")


def test_the_epochs_whose_scores_were_recomputed_are_named(tmp_path):
    found = compared(tmp_path, scored(tmp_path, 3), scored(tmp_path, 9))

    assert (found.differs, found.scored_rows, found.scored_epochs) == (False, 4 * 200, [3, 9])
    assert "the scores of 800 samples after epochs 3, 9" in compared_with_numpy(found)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_scores_of_an_earlier_epoch_that_are_not_those_of_its_weights_are_found(tmp_path, split):
    found = compared(tmp_path, scored(tmp_path, 3, {split}), scored(tmp_path, 9))

    assert (found.score.split, found.score.epoch, found.scored_epochs) == (split, 3, [])
    fault = work_fault(Verification(outcome="differs", independent=found))
    assert "from the weights after epoch 3" in fault


def test_a_mean_that_is_not_that_of_the_samples_is_found(tmp_path):
    state = scored(tmp_path, 3)
    state.report.scores["train"]["accuracy"] = 1.0

    found = compared(tmp_path, state)

    assert (found.score.name, found.score.row, found.score.epoch) == ("accuracy", None, 3)


@pytest.mark.parametrize(
    ("outcome", "epochs", "mark"),
    [
        ("verified", [3, 9], "✓ recomputed in NumPy after epochs 3, 9"),
        ("verified", [9], ""),  # the last alone says nothing of curves
        ("not verified", [3, 9], ""),
    ],
)
def test_curves_have_a_mark_if_drawn_epochs_were_recomputed(outcome, epochs, mark):
    independent = Independent(scored_epochs=epochs)
    assert curves_mark(Verification(outcome=outcome, independent=independent)) == mark
    assert not curves_mark(None)
