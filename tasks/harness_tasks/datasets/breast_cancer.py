"""Scikit-learn's breast cancer data (Street, Wolberg and Mangasarian 1993); always present."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from harness.spec import Dataset, DatasetSummary, DataSource, Samples
from harness_tasks.datasets.fingerprint import fingerprint

if TYPE_CHECKING:
    import numpy as np

TEST_SHARE = 0.25
SEED = (569, 30)
ORIGIN = "scikit-learn's data of breast cancer (UCI, Wisconsin diagnostic), standardised on training rows"
#: In the order of scikit-learn's labels.
CLASSES = ("malignant", "benign")


class BreastCancer(DataSource):
    """569 tumours of 30 measured features ``(30,)``: 427 rows for training, 142 for the test.

    The test rows: draw ``u = Generator(Philox(SeedSequence(SEED))).random(569)``, one number per row in
    scikit-learn's order; the quarter of each class with the smallest numbers are the test rows. Both splits
    keep scikit-learn's order. Each feature is standardised by mean and standard deviation of the training
    rows, and converted to float32.
    """

    name = "breast_cancer"
    summary = "569 tumours of 30 features, malignant or benign (UCI, by scikit-learn)"

    def is_ready(self) -> bool:
        """Always true: the data comes with scikit-learn."""
        return True

    def summarize(self) -> DatasetSummary:
        """The counts are constants; the fingerprint is left out, because it takes the arrays."""
        return DatasetSummary(ORIGIN, {"train": 427, "test": 142})

    def load(self) -> Dataset:
        """The data set: 427 rows for training, 142 for the test."""
        import numpy as np

        features, labels = _rows()
        draws = np.random.Generator(np.random.Philox(np.random.SeedSequence(SEED))).random(len(labels))
        order = np.argsort(draws, kind="stable")
        is_test = np.zeros(len(labels), bool)
        for label in range(len(CLASSES)):
            members = order[labels[order] == label]
            is_test[members[: round(TEST_SHARE * len(members))]] = True
        training = features[~is_test]
        inputs = ((features - training.mean(axis=0)) / training.std(axis=0)).astype(np.float32)
        train, test = (Samples(inputs[rows], labels[rows]) for rows in (~is_test, is_test))
        return Dataset(
            name=self.name,
            fingerprint=fingerprint(train, test),
            origin=ORIGIN,
            classes=CLASSES,
            train=train,
            test=test,
        )


def _rows() -> tuple[np.ndarray, np.ndarray]:
    """Features ``(569, 30)`` and labels ``(569,)`` of ``load_breast_cancer(return_X_y=True)``."""
    import importlib.util
    from pathlib import Path

    import numpy as np

    # Only the file: importing scikit-learn takes longer than many trainings.
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None  # noqa: S101  a requirement of this package
    path = Path(str(spec.origin)).parent / "datasets" / "data" / "breast_cancer.csv"
    with path.open(encoding="ascii", newline="") as file:
        _, *rows = csv.reader(file)  # the first line has counts and names
    table = np.array(rows, np.float64)
    return table[:, :-1], table[:, -1].astype(np.int64)
