"""The division of a file's rows into training, validation and test data."""

from collections.abc import Sequence

import numpy as np

from harness.core.data_files.settings import FileSettings
from harness.core.training import draws
from harness.core.training.splits import VALIDATION_FRACTION
from harness.errors import UsageError
from harness.spec.data import Split


def divided(
    count: int, classes: np.ndarray | None, names: Sequence[str], settings: FileSettings
) -> dict[Split, np.ndarray]:
    """Divide the rows 0 to ``count - 1``; each part is sorted.

    Shuffled, the test rows are drawn, the same at every call, from each class of ``classes (n,)`` alike; the
    harness draws the validation data from the training rows. Otherwise the last rows are the test data, and
    those before them the validation data. ``names`` are those of the classes.
    """
    tested = round(count * settings.test)
    held_out = round((count - tested) * VALIDATION_FRACTION)
    if min(tested, held_out) < 1:
        raise UsageError(
            f"{count} samples are too few: {settings.test:.0%} of them are test data, a tenth of the others "
            "validation data, and each needs at least one"
        )
    if settings.shuffle:
        is_test = _drawn(count, classes, settings.test)
        rows: dict[Split, np.ndarray] = {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}
    else:
        train, validation, test = np.split(np.arange(count), [count - tested - held_out, count - tested])
        rows = {"train": train, "validation": validation, "test": test}
    if classes is not None and (lacking := np.setdiff1d(classes, classes[rows["train"]])).size:
        where = "in a single sample" if settings.shuffle else "among the last samples"
        raise UsageError(
            f"class {names[lacking[0]]} is only {where}, so that no training data are left of it"
        )
    return rows


def _drawn(count: int, classes: np.ndarray | None, share: float) -> np.ndarray:
    """Draw the test rows ``(n,)`` bool: of each class its share, at least one."""
    order = draws.permutation(count, "test data of a file")
    members = [order] if classes is None else [order[classes[order] == each] for each in np.unique(classes)]
    is_test = np.zeros(count, bool)
    for rows in members:
        is_test[rows[: max(1, round(len(rows) * share))]] = True
    return is_test
