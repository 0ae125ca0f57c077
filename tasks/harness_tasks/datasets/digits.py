"""Scikit-learn's handwritten digits (Alpaydin and Kaynak 1998) at CIFAR-10's size: always here."""

from harness.spec import Dataset, DatasetSummary, DataSource, Samples
from harness_tasks.datasets.fingerprint import fingerprint

TEST_ROWS_PER_CLASS = 36  # 360 of 1,797, a fifth
SEED = (1797, 20)
ORIGIN = "scikit-learn's load_digits, 8x8 scaled up to 32x32"


class Digits(DataSource):
    """1,797 grey 8x8 pictures, brought to uint8 ``(32, 32, 3)`` so that a network does CIFAR-10's arithmetic.

    A value ``v`` from 0 to 16 becomes ``round(v * 255 / 16)``, half to even; each pixel becomes a square of
    4x4, the same in the three channels.

    The test rows: draw ``u = Generator(Philox(SeedSequence(SEED))).random(1797)``, one number a row in
    scikit-learn's order; of each class the 36 rows with the smallest numbers are the test rows. Both
    splits keep scikit-learn's order.
    """

    name = "digits"
    summary = "1,797 handwritten digits of scikit-learn, scaled up to 32x32x3"

    def is_ready(self) -> bool:
        """Always: it comes with scikit-learn."""
        return True

    def summarize(self) -> DatasetSummary:
        """The counts are constants; the fingerprint takes the arrays."""
        return DatasetSummary(ORIGIN, {"train": 1437, "test": 360})

    def load(self) -> Dataset:
        """The data set: 1,437 rows to train, 360 to test."""
        import numpy as np
        from sklearn.datasets import load_digits

        small, labels = load_digits(return_X_y=True)  # (1797, 64), (1797,)
        grey = np.rint(small.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
        large = grey.repeat(4, axis=1).repeat(4, axis=2)  # (1797, 32, 32)
        inputs = np.repeat(large[..., np.newaxis], 3, axis=3)
        targets = labels.astype(np.int64)

        draws = np.random.Generator(np.random.Philox(np.random.SeedSequence(SEED))).random(len(targets))
        order = np.argsort(draws, kind="stable")
        is_test = np.zeros(len(targets), bool)
        for label in range(10):
            is_test[order[targets[order] == label][:TEST_ROWS_PER_CLASS]] = True

        train = Samples(inputs[~is_test], targets[~is_test])
        test = Samples(inputs[is_test], targets[is_test])
        return Dataset(
            name=self.name,
            fingerprint=fingerprint(train, test),
            origin=ORIGIN,
            classes=tuple("0123456789"),
            train=train,
            test=test,
            input_divisor=255.0,
        )
