"""A checksum of weights, by which two readings of them are compared."""

import zlib
from collections.abc import Mapping

import numpy as np


def weights_checksum(weights: Mapping[str, np.ndarray]) -> int:
    """A number that changes with the values of the weights."""
    total = 0
    for name in sorted(weights):
        total = zlib.crc32(np.ascontiguousarray(weights[name]).data, total)
    return total
