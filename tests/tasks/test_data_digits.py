"""The digits: always the same rows, whatever the machine."""

import numpy as np
from sklearn.datasets import load_digits

from harness_tasks.datasets import SOURCES

DIGITS = SOURCES["digits"]


def test_they_never_change():
    # Records are compared by this: a change here makes all earlier results on digits incomparable.
    assert DIGITS.load().fingerprint == "839793395cf5d0d02629b233d0a6fd4742a8158e8f050fbb2b9163ae53d025e5"


def test_shapes_and_balance():
    dataset = DIGITS.load()
    assert DIGITS.is_ready()
    assert dataset.train.inputs.shape == (1437, 32, 32, 3)
    assert dataset.test.inputs.shape == (360, 32, 32, 3)
    assert np.bincount(dataset.test.targets).tolist() == [36] * 10
    assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == (np.uint8, np.int64)
    assert (dataset.train.inputs.min(), dataset.train.inputs.max()) == (0, 255)
    assert dataset.input_divisor == 255.0


def test_each_row_is_one_of_scikit_learn_enlarged_and_in_one_split_only():
    dataset = DIGITS.load()
    rows = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    assert np.array_equal(rows, np.repeat(rows[..., :1], 3, axis=-1))
    small = rows[:, ::4, ::4, 0]
    assert np.array_equal(rows[..., 0], small.repeat(4, axis=1).repeat(4, axis=2))

    values = np.rint(small / 255 * 16).reshape(-1, 64)
    labels = np.concatenate([dataset.train.targets, dataset.test.targets])
    ours = sorted((*row, label) for row, label in zip(values, labels, strict=True))
    theirs = sorted((*row, label) for row, label in zip(*load_digits(return_X_y=True), strict=True))
    assert ours == theirs
