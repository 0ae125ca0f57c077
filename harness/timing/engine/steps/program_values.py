"""The values that a step returns: written to files, and sampled after a timed block.

``program.py`` executes this file in the process of the user's step, so it imports the standard library alone,
and NumPy where the step returns arrays, and runs on Python 3.8.
"""

import hashlib
import struct

#: Of a larger array every n-th number is compared; about so many are sent.
_COMPARED_NUMBERS, _SENT_NUMBERS = 1 << 15, 64


class WrongInputError(Exception):
    """The request cannot be carried out as given. The target and a colon stand before the message."""


class Values:
    """The values of the calls of a step, whose arrays are of ``frameworks``."""

    def __init__(self, frameworks):
        self._frameworks = frameworks

    def write(self, value, file):
        """Write the arrays of a value; return ``{name: place}``, empty where it returns nothing."""
        places = {}
        for name, part in _parts(value):
            shape, dtype, numbers = _plain(self._frameworks.array(part))
            places[name] = {"shape": shape, "dtype": dtype, "offset": file.tell()}
            file.write(numbers)
        return places

    def sampled(self, value):
        """Return the digests of the arrays of a value, and some of their numbers."""
        found = {}
        for name, part in _parts(value):
            array = self._frameworks.array(part)
            piece = _without_signed_zeros(_piece(array, _COMPARED_NUMBERS))
            _, dtype, numbers = _plain(piece)
            found[name] = {
                "shape": list(getattr(array, "shape", ())),
                "dtype": dtype,
                "digest": hashlib.blake2b(numbers, digest_size=16).hexdigest(),
                "numbers": _plain(_piece(piece, _SENT_NUMBERS))[2].hex(),
            }
        return found


def _parts(value):
    """Return the name and the value of each part of a value that is neither a dict nor a list."""
    parts = list(_named(value))
    names = [name for name, _ in parts]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise WrongInputError(f"the step returns two values of the name {twice}: give them different keys")
    return parts


def _named(value, name=""):
    if value is None:
        return
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    else:
        yield name, value
        return
    for key, part in parts:
        yield from _named(part, "{}.{}".format(name, key) if name else str(key))


def _piece(array, most):
    """Return about every n-th number of an array, ``most`` at least if it has as many."""
    size = getattr(array, "size", 1)
    every = size // most if isinstance(size, int) else 1
    return array if every <= 1 else array.reshape(-1)[::every]


def _without_signed_zeros(value):
    """Return a value in which zeros have no sign, because they are equal numbers."""
    if type(value) is float:
        return value + 0.0
    dtype = getattr(value, "dtype", None)
    return value + dtype.type(0) if getattr(dtype, "kind", "") in {"f", "c"} else value


def _plain(value):
    """Return shape, type and bytes of an array or number; types that NumPy lacks become float64."""
    try:
        if isinstance(value, (bool, int, float)):
            return [], "<f8", struct.pack("<d", value)
        import numpy as np

        array = np.asarray(value)
        if array.dtype.kind not in "biufc" or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
            array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    except Exception as error:
        kind = type(value).__name__
        raise WrongInputError(
            f"the step returns {kind}, which is no number or array ({error}): return a number, an array, or "
            "a dict of them"
        ) from error
    return list(np.shape(value)), array.dtype.str, array.tobytes()
