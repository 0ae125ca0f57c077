"""The values that a step returns: written to files, and kept and sampled after a timed block.

``program.py`` executes this file in the process of the user's step, so it imports the standard library alone,
and NumPy where the step returns arrays, and runs on Python 3.8.
"""

import collections
import hashlib
import struct
import sys

#: Values of the calls of a block that are kept until they were compared: so many bytes, of one call at least.
_KEPT_BYTES, _LEAST_VALUE_BYTES = 1 << 20, 32
#: Of a larger array every n-th number is compared, from a random one on; about so many are sent.
_COMPARED_NUMBERS, _SENT_NUMBERS = 1 << 15, 64
#: A buffer that a step writes again is met within so many calls.
_LONGEST_RING = 64


class WrongInputError(Exception):
    """The request cannot be carried out as given. The target and a colon stand before the message."""


class OtherTypeError(TypeError):
    """A later call returned a value of another type than the first."""


class Values:
    """The values of the calls of a step, whose arrays are of ``frameworks``."""

    def __init__(self, frameworks):
        self._frameworks = frameworks
        #: The values of the last calls; how many are kept, once that is known; and what is done to a value
        #: before. None: nothing.
        self.kept, self._most, self._take = collections.deque(), None, None

    def write(self, value, file):
        """Write the arrays of a value; return ``{name: place}``, empty where it returns nothing."""
        places = {}
        for name, part in _parts(value):
            shape, dtype, numbers = _plain(self._frameworks.array(part))
            places[name] = {"shape": shape, "dtype": dtype, "offset": file.tell()}
            file.write(numbers)
        return places

    def begin(self, keep):
        """Begin a block: return what keeps a value, and what is done to it before, if anything is."""
        self.kept = collections.deque(maxlen=self._most if keep and self._most else 1)
        return self.kept.append, self._take if keep else None

    def end(self):
        """Return the number of values that the block has kept."""
        if self._most is None:
            self._choose(self.kept[-1])
        return len(self.kept)

    def _choose(self, value):
        """Choose by the first value how many are kept, and what is done to each before."""
        self._frameworks.note_types()
        if not self._frameworks.is_computed(value):
            self._take = self._read
            self.kept[-1] = value = self._read(value)
            self._frameworks.note_types()  # NumPy may be new
        elif any(self._frameworks.light(part) is not part for _, part in _parts(value)):
            self._take = self._lightened
        size = sys.getsizeof(value) if isinstance(value, (dict, list, tuple)) else 0
        size += sum(getattr(part, "nbytes", 0) or sys.getsizeof(part) for _, part in _parts(value))
        self._most = max(1, _KEPT_BYTES // max(size, _LEAST_VALUE_BYTES))

    def _read(self, value):
        """Return the arrays and numbers of a value by their names, as NumPy has them."""
        return {name: _as_array(self._frameworks.array(part)) for name, part in _parts(value)}

    def _lightened(self, value):
        if type(value) is dict:
            return {key: self._lightened(part) for key, part in value.items()}
        if type(value) in (list, tuple):
            return [self._lightened(part) for part in value]
        return self._frameworks.light(value)

    def _sampled(self, value, start):
        found = {}
        for name, part in _parts(value):
            array = self._frameworks.array(part)
            piece = _without_signed_zeros(_piece(array, _COMPARED_NUMBERS, start))
            _, dtype, numbers = _plain(piece)
            found[name] = {
                "shape": list(getattr(array, "shape", ())),
                "dtype": dtype,
                "digest": hashlib.blake2b(numbers, digest_size=16).hexdigest(),
                "numbers": _plain(_piece(piece, _SENT_NUMBERS, start))[2].hex(),
            }
        return found

    def sampled(self, calls, last, start):
        """Return the values of these calls of the last block, as far as they were kept and are still theirs.

        ``last`` is the number of its last call. A step may return a buffer that a later call writes again. Of
        a large array every n-th number counts, from one on that ``start`` chooses.
        """
        kept, values = list(self.kept), []
        before = last - len(kept)
        for call in calls:
            place = call - before - 1
            if not 0 <= place < len(kept) or _is_overwritten(kept, place):
                continue
            if not self._frameworks.is_computed(kept[place]):
                raise OtherTypeError(f"call {call} returned values of other types than the first call")
            try:
                values.append({"call": call, "values": self._sampled(kept[place], start)})
            except Exception:
                if call == last:  # a framework may have given away what is older
                    raise
        self.kept = collections.deque()
        return values


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


def _as_array(value):
    if type(value) in (bool, int, float):
        return value
    shape, dtype, numbers = _plain(value)
    import numpy as np

    return np.frombuffer(numbers, dtype).reshape(shape)


def _piece(array, most, start):
    """Return about every n-th number of an array, ``most`` at least if it has as many."""
    size = getattr(array, "size", 1)
    every = size // most if isinstance(size, int) else 1
    return array if every <= 1 else array.reshape(-1)[start % every :: every]


def _without_signed_zeros(value):
    """Return a value in which zeros have no sign, because they are equal numbers."""
    if type(value) is float:
        return value + 0.0
    dtype = getattr(value, "dtype", None)
    return value + dtype.type(0) if getattr(dtype, "kind", "") in {"f", "c"} else value


def _is_overwritten(kept, place):
    """Check that a later value of ``kept`` has the buffer of the value at ``place``."""
    own = _buffers(kept[place])
    later = [*kept[place + 1 : place + 1 + _LONGEST_RING], *kept[place + 1 :][-1:]]
    return bool(own) and any(own & _buffers(value) for value in later)


def _buffers(value):
    """Return where the arrays of a value lie, as far as they can be written again."""
    found = set()
    for _, part in _parts(value):
        if hasattr(part, "data_ptr"):
            found.add(part.data_ptr())
        elif type(part).__name__ == "ndarray" and part.size:
            found.add(part.__array_interface__["data"][0])
        elif type(part).__module__ not in {"builtins", "numpy"}:
            found.add(id(part))
    return found


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
