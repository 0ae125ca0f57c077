"""The sunspots: windows of the series of 309 years, no year in two splits."""

from pathlib import Path

import numpy as np
import pytest

from harness.core.training.splits import split_samples
from harness.spec.data import Samples, fingerprint
from harness_tasks.datasets import SOURCES, sunspots
from harness_tasks.windows import FUTURE, PAST

SUNSPOTS = SOURCES["sunspots"]


@pytest.fixture(scope="module")
def dataset():
    return SUNSPOTS.load()


@pytest.fixture(scope="module")
def series():
    """The 309 values, 1700 to 2008."""
    file = Path(sunspots.__file__).with_suffix(".csv")
    years, values = np.loadtxt(file, delimiter=",", skiprows=1, unpack=True)
    assert years.tolist() == list(range(1700, 2009))
    return values


def _years_of(samples, standardised):
    """The position of each window in the whole series, which must be unique."""
    places = []
    for past, future in zip(samples.inputs[..., 0], samples.targets, strict=True):
        window = np.concatenate([past, future])
        starts = [
            start
            for start in range(len(standardised) - len(window) + 1)
            if np.array_equal(standardised[start : start + len(window)], window)
        ]
        assert len(starts) == 1
        places += starts
    return places


def test_they_never_change(dataset):
    # Runs are comparable only with the same fingerprint: a change invalidates all results on sunspots.
    assert dataset.fingerprint == "0deb2eda00d1687f28d86de477364ded794240c9c3169bc015d590dc5659bce2"


def test_the_values_are_the_published_ones(series):
    assert (series[0], series[1957 - 1700], series[-1]) == (5.0, 190.2, 2.9)
    assert series.sum() == pytest.approx(15373.4)


def test_the_validation_years_are_part_of_the_fingerprint(dataset):
    changed = Samples(dataset.validation.inputs + 1, dataset.validation.targets)
    assert fingerprint(dataset.train, dataset.test, changed) != dataset.fingerprint
    assert fingerprint(dataset.train, dataset.test, dataset.validation) == dataset.fingerprint


def test_shapes(dataset):
    assert SUNSPOTS.is_ready()
    for samples, count in ((dataset.train, 155), (dataset.validation, 35), (dataset.test, 44)):
        assert samples.inputs.shape == (count, PAST, 1)
        assert samples.targets.shape == (count, FUTURE)
        assert samples.inputs.dtype == samples.targets.dtype == np.float32
        assert samples.inputs.base is None
        assert samples.targets.base is None


def test_windows_are_in_order_and_no_year_is_in_two_splits(dataset, series):
    training = series[:180]  # 1700 to 1879
    standardised = ((series - training.mean()) / training.std()).astype(np.float32)
    splits = [_years_of(part, standardised) for part in (dataset.train, dataset.validation, dataset.test)]
    last = PAST + FUTURE - 1
    ranges = [(1700 + starts[0], 1700 + starts[-1] + last) for starts in splits]
    assert all(starts == list(range(starts[0], starts[-1] + 1)) for starts in splits)
    assert ranges == [(1700, 1879), (1880, 1939), (1940, 2008)]


def test_the_harness_uses_the_validation_years_of_the_data_set(dataset):
    splits = split_samples(dataset, "float64")
    assert {name: len(samples) for name, samples in splits.items()} == {
        "train": 155,
        "validation": 35,
        "test": 44,
    }
    assert np.array_equal(splits["validation"].targets, dataset.validation.targets)
    assert splits["train"].targets.dtype == np.float64
