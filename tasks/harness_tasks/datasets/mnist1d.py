"""MNIST-1D (Greydanus and Kobak 2024), generated on this machine by its authors' package; always present."""

from __future__ import annotations

import contextlib
import random
from importlib import metadata
from typing import TYPE_CHECKING, ClassVar

from harness.spec import Dataset, DownloadProgress, Samples, fingerprint
from harness_tasks.datasets.store import LocalSource, data_root, replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

_SPLITS = ("train", "test")


class Mnist1d(LocalSource):
    """4,000 and 1,000 sequences ``(40, 1)`` of mean 0 and standard deviation 1, in the authors' order.

    They are converted to float32, so that the last bits of float64, which differ between machines, do not
    affect the fingerprint.
    """

    name = "mnist1d"
    summary = "MNIST-1D: 5,000 generated sequences of 40 values in ten classes"
    origin = "made by the package mnist1d, seed 42"
    samples: ClassVar = {"train": 4000, "test": 1000}

    @property
    def _cache(self) -> Path:
        return data_root() / f"mnist1d-{metadata.version('mnist1d')}.npz"

    def fetch(self, progress: DownloadProgress) -> None:
        """Generate the data again if the cache file is damaged, and report that."""
        if self._cache.exists() and _read_cache(self._cache) is None:
            progress(f"{self._cache} is damaged; {self.name} is generated again", 0, 0)
            self.load()

    def load(self) -> Dataset:
        """Load the data set that the package generates with its defaults, seed 42."""
        samples = _read_cache(self._cache)
        if samples is None:
            samples = _generate()
            _write_cache(self._cache, *samples)
        return self.dataset("0123456789", *samples)


def _generate() -> tuple[Samples, Samples]:
    import numpy as np
    from mnist1d.data import get_dataset_args, make_dataset

    with _global_random_state():
        arrays = make_dataset(get_dataset_args())

    def samples(inputs: np.ndarray, targets: np.ndarray) -> Samples:
        return Samples(inputs.astype(np.float32)[..., np.newaxis], targets.astype(np.int64))

    return samples(arrays["x"], arrays["y"]), samples(arrays["x_test"], arrays["y_test"])


def _read_cache(path: Path) -> tuple[Samples, Samples] | None:
    """Read the data that an earlier process generated: generating takes longer than many trainings.

    None if there is no cache, or if it does not match its fingerprint.
    """
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file) as arrays:
            train, test = (Samples(arrays[f"{name}_inputs"], arrays[f"{name}_targets"]) for name in _SPLITS)
            sha256 = str(arrays["fingerprint"])
        return (train, test) if fingerprint(train, test) == sha256 else None
    except Exception:  # noqa: BLE001  NumPy raises many kinds for a damaged file, TokenError among them
        return None


def _write_cache(path: Path, train: Samples, test: Samples) -> None:
    """Write the cache completely or not at all; without a writable cache, only time is lost."""
    import numpy as np

    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(
            path,
            lambda file: np.savez(
                file,
                train_inputs=train.inputs,
                train_targets=train.targets,
                test_inputs=test.inputs,
                test_targets=test.targets,
                fingerprint=np.array(fingerprint(train, test)),
            ),
        )


@contextlib.contextmanager
def _global_random_state() -> Iterator[None]:
    """Restore the global random states of Python and NumPy, which the package seeds and uses."""
    import numpy as np

    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002
