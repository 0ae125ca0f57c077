"""Reading the pickles of the official archive without running code that they may contain."""

import io
import pickle
import pickletools
import re
from typing import Any

from harness.errors import DataError

#: Limits far above the needs of an official batch (30,087 operations, 7 containers), so that none of its size
#: takes minutes, fills the memory or nests deeper than C code can follow.
MAX_OPERATIONS = 300_000
MAX_CONTAINERS = 1_000

_CONTAINERS = {"list", "tuple", "dict", "set", "frozenset"}
#: The elements of an array: numbers of up to 16 bytes, texts that NumPy names by two digits, no objects.
_DTYPE = re.compile(r"[<>|=]?[biufcSUV?]\d{0,2}")
#: Placeholder for the class of arrays, which a pickle could otherwise call.
_NDARRAY = object()


def arrays_from_pickle(content: bytes, where: str) -> object:
    """Read a pickle of Python 2 or 3 that holds only NumPy arrays and plain containers.

    Text of Python 2 is returned as bytes. Every other class or function in the pickle is refused before it is
    looked up, so that nothing is imported or run.

    Args:
        content: The pickle.
        where: The name of the file, for the error.
    """
    try:
        _refuse_complex(content)
        return _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a broken pickle can raise anything
        raise DataError(f"{where} is not a pickle of NumPy arrays: {error}") from error


def _refuse_complex(content: bytes) -> None:
    """Read the pickle's operations without carrying them out."""
    containers = 0
    for number, (operation, _, _) in enumerate(pickletools.genops(content), 1):
        containers += any(item.name in _CONTAINERS for item in operation.stack_after)
        if number > MAX_OPERATIONS or containers > MAX_CONTAINERS:
            raise pickle.UnpicklingError(
                f"it has more than {MAX_OPERATIONS:,} operations or {MAX_CONTAINERS:,} containers"
            )


# The unpickler in Python, because the one in C allocates any amount of memory for a hostile memo index.
class _ArraysOnly(pickle._Unpickler):  # noqa: SLF001
    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        # NumPy 2 moved numpy.core to numpy._core; older pickles, such as the official ones, use the former.
        # The function is taken from an array, because it has no public name.
        admitted = {
            ("numpy", "ndarray"): _NDARRAY,
            ("numpy", "dtype"): _dtype,
            ("numpy._core.multiarray", "_reconstruct"): _empty,
            ("numpy._core.numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0],
        }
        function = admitted.get((module.replace("numpy.core.", "numpy._core."), name))
        if function is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return function


def _empty(_kind: object, shape: object, _dtype: object) -> Any:
    """Return the empty array that NumPy pickles before its state; refuse other shapes, which may be huge."""
    import numpy as np

    if shape != (0,):
        raise pickle.UnpicklingError(f"it asks for an array of shape {shape} without content")
    return np.empty(0, np.int8)


def _dtype(name: object, *_flags: object) -> Any:
    import numpy as np

    text = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    if not _DTYPE.fullmatch(text):
        raise pickle.UnpicklingError(f"it asks for elements of type {text[:40]!r}")
    return np.dtype(text, False, True)
