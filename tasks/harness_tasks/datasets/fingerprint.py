"""The fingerprint that identifies the content of a data set."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.spec import Samples


def fingerprint(train: Samples, test: Samples, validation: Samples | None = None) -> str:
    r"""The sha256, in hexadecimal, of everything that a network sees: every row, in order.

    The hash covers, in this order, ``train.inputs``, ``train.targets``, ``test.inputs`` and
    ``test.targets``, and ``validation.inputs`` and ``validation.targets`` if the data set provides them: for
    each the ASCII line ``"<name> <dtype> <shape>\n"``, such as ``train.inputs |u1 50000,32,32,3`` or
    ``test.targets <i8 10000``, then its bytes, little-endian, in C order. Names of classes, files and folders
    are not included. The formula must never change: runs of different versions of the harness are compared
    by it.

    Args:
        train: Inputs ``(n, *shape)`` and targets ``(n,)``; not copied if contiguous and little-endian.
        test: The same for the test rows.
        validation: The same for the validation rows, if the data set provides them.
    """
    import numpy as np

    digest = hashlib.sha256()
    splits = {"train": train, "test": test} | ({"validation": validation} if validation else {})
    for split, samples in splits.items():
        for part, array in (("inputs", samples.inputs), ("targets", samples.targets)):
            canonical = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            shape = ",".join(map(str, canonical.shape))
            digest.update(f"{split}.{part} {canonical.dtype.str} {shape}\n".encode("ascii"))
            digest.update(canonical.reshape(-1).data)
    return digest.hexdigest()
