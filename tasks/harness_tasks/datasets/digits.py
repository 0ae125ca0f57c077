"""Scikit-learn's handwritten digits (Alpaydin and Kaynak 1998) in the size of CIFAR-10; always present."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.spec import Dataset, DatasetSummary, DataSource, Samples
from harness_tasks.datasets.fingerprint import fingerprint

if TYPE_CHECKING:
    import numpy as np

TEST_ROWS_PER_CLASS = 36  # 360 of 1,797, a fifth
SEED = (1797, 20)
ORIGIN = "scikit-learn's load_digits, 8x8 scaled up to 32x32"


class Digits(DataSource):
    """1,797 grey 8x8 pictures as uint8 ``(32, 32, 3)``, so that networks do the arithmetic of CIFAR-10.

    A value ``v`` from 0 to 16 becomes ``round(v * 255 / 16)``, half to even; each pixel becomes a square of
    4x4, the same in the three channels.

    The test rows: draw ``u = Generator(Philox(SeedSequence(SEED))).random(1797)``, one number per row in
    scikit-learn's order; the 36 rows of each class with the smallest numbers are the test rows. Both splits
    keep scikit-learn's order.
    """

    name = "digits"
    summary = "1,797 handwritten digits of scikit-learn, scaled up to 32x32x3"

    def is_ready(self) -> bool:
        """Always true: the data comes with scikit-learn."""
        return True

    def summarize(self) -> DatasetSummary:
        """The counts are constants; the fingerprint is left out, because it takes the arrays."""
        return DatasetSummary(ORIGIN, {"train": 1437, "test": 360})

    def load(self) -> Dataset:
        """The data set: 1,437 rows for training, 360 for the test."""
        import numpy as np

        small, labels = _rows()
        grey = np.rint(small.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
        large = grey.repeat(4, axis=1).repeat(4, axis=2)  # (1797, 32, 32)
        inputs = np.repeat(large[..., np.newaxis], 3, axis=3)

        draws = np.random.Generator(np.random.Philox(np.random.SeedSequence(SEED))).random(len(labels))
        order = np.argsort(draws, kind="stable")
        is_test = np.zeros(len(labels), bool)
        for label in range(10):
            is_test[order[labels[order] == label][:TEST_ROWS_PER_CLASS]] = True

        train = Samples(inputs[~is_test], labels[~is_test])
        test = Samples(inputs[is_test], labels[is_test])
        return Dataset(
            name=self.name,
            fingerprint=fingerprint(train, test),
            origin=ORIGIN,
            classes=tuple("0123456789"),
            train=train,
            test=test,
            input_divisor=255.0,
        )


def _rows() -> tuple[np.ndarray, np.ndarray]:
    """Values ``(1797, 64)`` and labels ``(1797,)``, as returned by ``load_digits(return_X_y=True)``."""
    import gzip
    import importlib.util
    from pathlib import Path

    import numpy as np

    # Only the file: importing scikit-learn takes longer than many trainings.
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None  # noqa: S101  a requirement of this package
    path = Path(str(spec.origin)).parent / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)
