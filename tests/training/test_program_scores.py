"""How many samples of each split are scored."""

import msgspec
import numpy as np

from harness.spec.data import Samples
from harness.training.program_scores import Scorer
from harness_tasks.mlp import MLP

TASK = MLP.define(MLP.options())
SPLITS = {
    name: Samples(np.zeros((count, 40, 1), np.float32), np.zeros(count, np.int64))
    for name, count in (("train", 50), ("validation", 8), ("test", 9))
}


class Counting:
    """Notes how many samples it predicts."""

    def __init__(self):
        self.counts = []

    def predict(self, inputs, network="model"):
        self.counts.append(len(inputs))
        return np.zeros((len(inputs), 10), np.float32)


def _scored(task, most=None):
    program, scorer = Counting(), Scorer(task, SPLITS, 0, tuple("0123456789"))
    for split in SPLITS:
        scorer.scores(program, split, most)
    return program.counts


def test_all_samples_are_scored_unless_fewer_are_asked_for():
    assert _scored(TASK) == [50, 8, 9]
    assert _scored(TASK, 5) == [5, 5, 5]


def test_of_training_data_that_an_epoch_takes_in_part_as_many_are_scored_as_for_validation():
    task = msgspec.structs.replace(TASK, samples_per_epoch=20)
    assert _scored(task) == [8, 8, 9]
    assert _scored(task, 5) == [5, 5, 5]
