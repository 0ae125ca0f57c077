"""MNIST-1D (Greydanus and Kobak 2024), made on this machine by its authors' package: always here."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

from harness.spec import Dataset, DatasetSummary, DataSource, Samples
from harness_tasks.datasets.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

ORIGIN = "made by the package mnist1d, seed 42"


class Mnist1d(DataSource):
    """4,000 and 1,000 sequences ``(40, 1)`` of mean 0 and standard deviation 1, in the authors' order.

    They are brought to float32, so that the last bits of float64, which differ between machines, do not
    change the fingerprint.
    """

    name = "mnist1d"
    summary = "MNIST-1D: 5,000 made sequences of 40 values in ten classes"

    def is_ready(self) -> bool:
        """Always: the package makes it from a seed."""
        return True

    def summarize(self) -> DatasetSummary:
        """The counts are constants; the fingerprint takes the arrays."""
        return DatasetSummary(ORIGIN, {"train": 4000, "test": 1000})

    def load(self) -> Dataset:
        """The data set that the package makes with its own defaults, seed 42."""
        import numpy as np
        from mnist1d.data import get_dataset_args, make_dataset

        with _global_draws_kept():
            made = make_dataset(get_dataset_args())

        def samples(inputs: np.ndarray, targets: np.ndarray) -> Samples:
            return Samples(inputs.astype(np.float32)[..., np.newaxis], targets.astype(np.int64))

        train = samples(made["x"], made["y"])
        test = samples(made["x_test"], made["y_test"])
        return Dataset(
            name=self.name,
            fingerprint=fingerprint(train, test),
            origin=ORIGIN,
            classes=tuple("0123456789"),
            train=train,
            test=test,
        )


@contextlib.contextmanager
def _global_draws_kept() -> Iterator[None]:
    """Puts back the global random states of Python and NumPy, which the package seeds and uses."""
    import numpy as np

    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002
