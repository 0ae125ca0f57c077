"""Data sets that come with scikit-learn and are therefore always present. Its package is not imported.

Digits are by Alpaydin and Kaynak (1998), breast cancer data by Street, Wolberg and Mangasarian (1993).
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.spec import Dataset, Samples
from harness_tasks.datasets.store import LocalSource

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

#: In the order of scikit-learn's labels.
CLASSES = ("malignant", "benign")


class BreastCancer(LocalSource):
    """569 tumours of 30 measured features ``(30,)``: 427 rows for training, 142 for the test.

    The test rows are a quarter of each class; see :func:`_test_rows`. Each feature is standardised by mean
    and standard deviation of the training rows, and converted to float32.
    """

    name = "breast_cancer"
    summary = "569 tumours of 30 features, malignant or benign (UCI, by scikit-learn)"
    origin = "scikit-learn's data of breast cancer (UCI, Wisconsin diagnostic), standardised on training rows"
    samples: ClassVar = {"train": 427, "test": 142}

    def load(self) -> Dataset:
        """Load the data set: 427 rows for training, 142 for the test."""
        import numpy as np

        with _file("breast_cancer.csv").open(encoding="ascii", newline="") as file:
            _, *rows = csv.reader(file)  # the first line has counts and names
        table = np.array(rows, np.float64)
        features, labels = table[:, :-1], table[:, -1].astype(np.int64)
        is_test = _test_rows(labels, (569, 30), lambda rows: round(rows / 4))
        training = features[~is_test]
        inputs = ((features - training.mean(axis=0)) / training.std(axis=0)).astype(np.float32)
        train, test = (Samples(inputs[rows], labels[rows]) for rows in (~is_test, is_test))
        return self.dataset(CLASSES, train, test)


class Digits(LocalSource):
    """1,797 grey 8x8 images as uint8 ``(32, 32, 3)``, so that networks do the arithmetic of CIFAR-10.

    A value ``v`` from 0 to 16 becomes ``round(v * 255 / 16)``, half to even; each pixel becomes a square of
    4x4, the same in the three channels.

    The test rows are 36 of each class; see :func:`_test_rows`.
    """

    name = "digits"
    summary = "1,797 handwritten digits of scikit-learn, scaled up to 32x32x3"
    origin = "scikit-learn's load_digits, 8x8 scaled up to 32x32"
    samples: ClassVar = {"train": 1437, "test": 360}

    def load(self) -> Dataset:
        """Load the data set: 1,437 rows for training, 360 for the test."""
        import numpy as np

        with gzip.open(_file("digits.csv.gz"), "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",")
        small, labels = table[:, :-1], table[:, -1].astype(np.int64)
        grey = np.rint(small.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
        large = grey.repeat(4, axis=1).repeat(4, axis=2)  # (1797, 32, 32)
        inputs = np.repeat(large[..., np.newaxis], 3, axis=3)
        is_test = _test_rows(labels, (1797, 20), lambda _rows: 36)  # 360 of 1,797, a fifth
        train, test = (Samples(inputs[rows], labels[rows]) for rows in (~is_test, is_test))
        return self.dataset("0123456789", train, test, input_divisor=255.0)


def _file(name: str) -> Path:
    """Return the path of a data file of scikit-learn; importing the package would take longer."""
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None  # noqa: S101  a requirement of this package
    return Path(str(spec.origin)).parent / "datasets" / "data" / name


def _test_rows(labels: np.ndarray, seed: tuple[int, int], count: Callable[[int], int]) -> np.ndarray:
    """Select the test rows ``(n,)``: ``count`` rows of each class. Both splits keep their order.

    Draw ``u = Generator(Philox(SeedSequence(seed))).random(n)``, one number per row in scikit-learn's order;
    the rows of a class with the smallest numbers are test rows.
    """
    import numpy as np

    draws = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).random(len(labels))
    order = np.argsort(draws, kind="stable")
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        is_test[members[: count(len(members))]] = True
    return is_test
