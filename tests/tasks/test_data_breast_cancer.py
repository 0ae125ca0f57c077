"""The breast cancer data: scikit-learn's rows, divided and standardised without looking at the test rows."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from harness_tasks.datasets import SOURCES
from harness_tasks.datasets.breast_cancer import CLASSES

BREAST_CANCER = SOURCES["breast_cancer"]


@pytest.fixture(scope="module")
def dataset():
    return BREAST_CANCER.load()


def test_it_never_changes(dataset):
    # Runs are comparable only with the same fingerprint: a change invalidates all results.
    assert dataset.fingerprint == "63217f372592a73f1084f48f4e99d6016d672c45b641b766e29393b32eb7101a"


def test_the_rows_are_those_of_scikit_learn(dataset):
    features, labels = load_breast_cancer(return_X_y=True)
    parts = (dataset.train, dataset.test)
    inputs = np.concatenate([part.inputs for part in parts])
    targets = np.concatenate([part.targets for part in parts])
    assert inputs.dtype == np.float32
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)
    # Standardising by other rows is one shift and scale for each feature.
    again = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    order, reference = (np.lexsort(table.T.round(3)) for table in (again, standardised))
    assert np.abs(again[order] - standardised[reference]).max() < 1e-2
    assert np.array_equal(targets[order], labels[reference])
    assert tuple(load_breast_cancer().target_names) == CLASSES == dataset.classes


def test_it_is_standardised_on_the_training_rows(dataset):
    assert dataset.train.inputs.mean(axis=0) == pytest.approx(np.zeros(30), abs=1e-5)
    assert dataset.train.inputs.std(axis=0) == pytest.approx(np.ones(30), abs=1e-5)
    assert np.abs(dataset.test.inputs.mean(axis=0)).max() > 0.01


def test_both_splits_have_the_same_share_of_each_class(dataset):
    assert (len(dataset.train), len(dataset.test)) == (427, 142)
    assert BREAST_CANCER.summarize().samples == {"train": 427, "test": 142}
    shares = [part.targets.mean() for part in (dataset.train, dataset.test)]
    assert shares[0] == pytest.approx(shares[1], abs=0.01)
    rows = {row.tobytes() for row in dataset.train.inputs}
    assert not any(row.tobytes() in rows for row in dataset.test.inputs)
