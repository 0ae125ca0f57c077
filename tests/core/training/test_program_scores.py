"""How many samples of each split are scored."""

import msgspec
import numpy as np

from harness.core.training.program_scores import Scorer
from harness.spec.data import Samples
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


def test_as_many_training_samples_are_scored_as_validation_samples_unless_asked_otherwise():
    assert _scored(TASK) == [8, 8, 9]
    assert _scored(TASK, 5) == [5, 5, 5]
    assert _scored(TASK, 20) == [20, 8, 9]
    assert _scored(TASK, 100) == [50, 8, 9]


def test_the_same_training_samples_are_scored_each_time():
    inputs = np.arange(50 * 40, dtype=np.float32).reshape(50, 40, 1)
    train = SPLITS["train"]
    splits = SPLITS | {"train": Samples(inputs, train.targets)}
    seen = []

    class Seeing(Counting):
        def predict(self, inputs, network="model"):
            seen.append(inputs.copy())
            return super().predict(inputs)

    scorer = Scorer(TASK, splits, 0, tuple("0123456789"))
    for _ in range(2):
        scorer.scores(Seeing(), "train")
    assert len(np.unique(seen[0][:, 0, 0])) == 8
    np.testing.assert_array_equal(*seen)


def test_of_training_data_that_an_epoch_takes_in_part_no_more_are_scored():
    task = msgspec.structs.replace(TASK, samples_per_epoch=20)
    assert _scored(task) == [8, 8, 9]
    assert _scored(task, 5) == [5, 5, 5]
    assert _scored(task, 20) == [8, 8, 9]
