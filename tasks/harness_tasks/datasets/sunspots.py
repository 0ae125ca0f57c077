"""The yearly sunspot numbers from 1700 to 2008, which come with the harness.

The 309 values in ``sunspots.csv`` are public domain: the yearly means of the (unrevised) international
sunspot number, as published by NOAA's National Geophysical Data Center.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.spec import Dataset, Samples, Series
from harness_tasks.datasets.store import LocalSource
from harness_tasks.windows import FUTURE, PAST

if TYPE_CHECKING:
    import numpy as np

VALIDATION_FROM = 1880
TEST_FROM = 1940
_FILE = Path(__file__).with_suffix(".csv")


class Sunspots(LocalSource):
    """Windows of 22 years ``(22, 1)`` and the 4 years that follow ``(4,)``, one for each possible first year.

    Windows of the years before 1880 are for training, those from 1940 for the test, those between for
    validation; no window crosses a border. All values are standardised by mean and standard deviation of
    the training years, and converted to float32.
    """

    name = "sunspots"
    summary = "yearly sunspot numbers 1700-2008: 22 years and the 4 that follow"
    origin = "yearly sunspot numbers of NOAA's National Geophysical Data Center (public domain)"
    samples: ClassVar = {"train": 155, "validation": 35, "test": 44}

    def load(self) -> Dataset:
        """Load the data set: 155 windows for training, 35 for validation, 44 for the test."""
        years, values = _series()
        training = values[years < VALIDATION_FROM]
        standardised = (values - training.mean()) / training.std()
        train = _windows(standardised[years < VALIDATION_FROM])
        validation = _windows(standardised[(years >= VALIDATION_FROM) & (years < TEST_FROM)])
        test = _windows(standardised[years >= TEST_FROM])
        series = Series(
            quantity="yearly sunspot number",
            time="year",
            scale=float(training.std()),
            offset=float(training.mean()),
            test_start=TEST_FROM + PAST,
        )
        return self.dataset((), train, test, validation=validation, series=series)


def _series() -> tuple[np.ndarray, np.ndarray]:
    """Read years ``(309,)`` and their sunspot numbers ``(309,)``."""
    import numpy as np

    with _FILE.open(encoding="ascii", newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([int(row["year"]) for row in rows]), np.array([float(row["sunspots"]) for row in rows])


def _windows(values: np.ndarray) -> Samples:
    """Pair every ``PAST`` consecutive values ``(n, PAST, 1)`` with the next ``FUTURE`` ``(n, FUTURE)``."""
    import numpy as np

    rows = np.lib.stride_tricks.sliding_window_view(values.astype(np.float32), PAST + FUTURE)
    return Samples(rows[:, :PAST, np.newaxis].copy(), rows[:, PAST:].copy())
