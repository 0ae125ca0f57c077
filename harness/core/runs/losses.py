"""The losses of all steps of a run, in a file next to its record."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from harness.core.certify.certificate import Losses
from harness.core.machine.files import read_file
from harness.core.runs.record import Record
from harness.errors import UsageError

#: The end of the file's name, after the id of the run.
LOSSES_ENDING = "-losses.npz"
_NAME = "losses"


def encoded_losses(losses: Losses) -> bytes:
    """Encode ``losses`` as an ``.npz`` file with one array ``(steps, losses of a step)``.

    It has single precision if that holds every loss exactly. A loss that is not finite is NaN.
    """
    exact = np.array([[np.nan if loss is None else loss for loss in row] for row in losses], np.float64)
    with np.errstate(over="ignore"):
        single = exact.astype(np.float32)
    file = io.BytesIO()
    array = single if np.array_equal(single.astype(np.float64), exact, equal_nan=True) else exact
    np.savez_compressed(file, allow_pickle=False, **{_NAME: array})
    return file.getvalue()


def losses_beside(record: Record, path: Path) -> Losses | None:
    """Return the losses of all steps of the ``record`` in ``path``; None if they are not beside it."""
    if record.losses is None:
        return None
    file = path.parent / Path(record.losses.name).name
    try:
        content = read_file(file)
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != record.losses.sha256:
        raise UsageError(f"{file} was changed after the run wrote it; get it again, or delete it")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            rows = arrays[_NAME].astype(np.float64)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{file} is not a file of losses: {error}") from error
    return [[None if loss != loss else loss for loss in row] for row in rows.tolist()]  # noqa: PLR0124
