"""The yearly sunspot numbers from 1700 to 2008 that statsmodels ships: always here."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from harness.spec import Dataset, DatasetSummary, DataSource, Samples
from harness_tasks.datasets.fingerprint import fingerprint
from harness_tasks.windows import FUTURE, PAST

if TYPE_CHECKING:
    import numpy as np

VALIDATION_FROM = 1880
TEST_FROM = 1940
ORIGIN = "statsmodels' datasets/sunspots/sunspots.csv"


class Sunspots(DataSource):
    """Windows of 22 years ``(22, 1)`` and the 4 years after ``(4,)``, one for each year that they can begin.

    The years before 1880 are to train, those from 1940 to test, those between to validate; each split's
    windows hold years of its own alone. All are standardised by mean and standard deviation of the years
    to train, and brought to float32.
    """

    name = "sunspots"
    summary = "yearly sunspot numbers 1700-2008: 22 years and the 4 that follow"

    def is_ready(self) -> bool:
        """Always: it comes with statsmodels."""
        return True

    def summarize(self) -> DatasetSummary:
        """The counts are constants; the fingerprint takes the arrays."""
        return DatasetSummary(ORIGIN, {"train": 155, "validation": 35, "test": 44})

    def load(self) -> Dataset:
        """The data set: 155 windows to train, 35 to validate, 44 to test."""
        years, values = _series()
        training = values[years < VALIDATION_FROM]
        standardised = (values - training.mean()) / training.std()
        train = _windows(standardised[years < VALIDATION_FROM])
        validation = _windows(standardised[(years >= VALIDATION_FROM) & (years < TEST_FROM)])
        test = _windows(standardised[years >= TEST_FROM])
        return Dataset(
            name=self.name,
            fingerprint=fingerprint(train, test, validation),
            origin=ORIGIN,
            classes=(),
            train=train,
            test=test,
            validation=validation,
        )


def _series() -> tuple[np.ndarray, np.ndarray]:
    """Years ``(309,)`` and their sunspot numbers ``(309,)``."""
    import importlib.resources

    import numpy as np

    # The file alone: statsmodels.datasets would import pandas and SciPy.
    path = importlib.resources.files("statsmodels") / "datasets" / "sunspots" / "sunspots.csv"
    rows = list(csv.DictReader(path.read_text(encoding="ascii").splitlines()))
    return np.array([int(row["YEAR"]) for row in rows]), np.array([float(row["SUNACTIVITY"]) for row in rows])


def _windows(values: np.ndarray) -> Samples:
    """Every ``PAST`` consecutive values ``(n, PAST, 1)`` with the ``FUTURE`` that follow ``(n, FUTURE)``."""
    import numpy as np

    rows = np.lib.stride_tricks.sliding_window_view(values.astype(np.float32), PAST + FUTURE)
    return Samples(rows[:, :PAST, np.newaxis].copy(), rows[:, PAST:].copy())
