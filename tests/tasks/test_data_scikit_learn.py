"""Data of scikit-learn: always its rows, divided and standardised without looking at the test rows."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from harness_tasks.datasets import SOURCES


@pytest.fixture(scope="module")
def digits():
    return SOURCES["digits"].load()


@pytest.fixture(scope="module")
def tumours():
    return SOURCES["breast_cancer"].load()


def test_they_never_change(digits, tumours):
    # Runs are compared only if these are equal: a change here invalidates all earlier results.
    assert digits.fingerprint == "839793395cf5d0d02629b233d0a6fd4742a8158e8f050fbb2b9163ae53d025e5"
    assert tumours.fingerprint == "63217f372592a73f1084f48f4e99d6016d672c45b641b766e29393b32eb7101a"


def test_digits_are_balanced_and_of_the_shape_of_cifar10(digits):
    dataset = digits
    assert dataset.train.inputs.shape == (1437, 32, 32, 3)
    assert dataset.test.inputs.shape == (360, 32, 32, 3)
    assert np.bincount(dataset.test.targets).tolist() == [36] * 10
    assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == (np.uint8, np.int64)
    assert (dataset.train.inputs.min(), dataset.train.inputs.max()) == (0, 255)
    assert dataset.input_divisor == 255.0


def test_each_digit_is_one_of_scikit_learn_enlarged_and_in_one_split_only(digits):
    dataset = digits
    rows = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    assert np.array_equal(rows, np.repeat(rows[..., :1], 3, axis=-1))
    small = rows[:, ::4, ::4, 0]
    assert np.array_equal(rows[..., 0], small.repeat(4, axis=1).repeat(4, axis=2))

    values = np.rint(small / 255 * 16).reshape(-1, 64)
    labels = np.concatenate([dataset.train.targets, dataset.test.targets])
    ours = sorted((*row, label) for row, label in zip(values, labels, strict=True))
    theirs = sorted((*row, label) for row, label in zip(*load_digits(return_X_y=True), strict=True))
    assert ours == theirs


def test_tumours_are_those_of_scikit_learn(tumours):
    features, labels = load_breast_cancer(return_X_y=True)
    parts = (tumours.train, tumours.test)
    inputs = np.concatenate([part.inputs for part in parts])
    targets = np.concatenate([part.targets for part in parts])
    assert inputs.dtype == np.float32
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)
    # Standardising by other rows is one shift and scale for each feature.
    again = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    order, reference = (np.lexsort(table.T.round(3)) for table in (again, standardised))
    assert np.abs(again[order] - standardised[reference]).max() < 1e-2
    assert np.array_equal(targets[order], labels[reference])
    assert tuple(load_breast_cancer().target_names) == tumours.classes


def test_tumours_are_standardised_on_the_training_rows(tumours):
    assert tumours.train.inputs.mean(axis=0) == pytest.approx(np.zeros(30), abs=1e-5)
    assert tumours.train.inputs.std(axis=0) == pytest.approx(np.ones(30), abs=1e-5)
    assert np.abs(tumours.test.inputs.mean(axis=0)).max() > 0.01


def test_both_splits_have_the_same_share_of_each_class(tumours):
    assert (len(tumours.train), len(tumours.test)) == (427, 142)
    shares = [part.targets.mean() for part in (tumours.train, tumours.test)]
    assert shares[0] == pytest.approx(shares[1], abs=0.01)
    rows = {row.tobytes() for row in tumours.train.inputs}
    assert not any(row.tobytes() in rows for row in tumours.test.inputs)
