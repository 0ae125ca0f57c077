"""Reading the pickles of the official archive without running what they could say."""

import io
import pickle
from typing import Any

from harness.errors import DataError


def arrays_from_pickle(content: bytes, where: str) -> object:
    """What a pickle of Python 2 or 3 holds, if that is NumPy arrays and plain containers only.

    Text of Python 2 comes back as bytes. Every other class or function that the pickle asks for is
    refused before it is looked up, so that nothing is imported and nothing is run.

    Args:
        content: The pickle.
        where: The name of the file, for the error.

    Raises:
        DataError: the pickle is broken or asks for anything but arrays.
    """
    try:
        return _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a broken pickle can raise anything
        raise DataError(f"{where} is not a pickle of NumPy arrays: {error}") from error


# The unpickler in Python: the one in C takes as much memory as a hostile memo index asks for.
class _ArraysOnly(pickle._Unpickler):  # noqa: SLF001
    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        # NumPy 2 moved numpy.core to numpy._core; older pickles, the official ones too, say the former.
        # The functions come from an array itself: they are not public under any name.
        empty = np.empty(0)
        admitted = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy._core.multiarray", "_reconstruct"): empty.__reduce__()[0],
            ("numpy._core.numeric", "_frombuffer"): empty.__reduce_ex__(5)[0],
        }
        found = admitted.get((module.replace("numpy.core.", "numpy._core."), name))
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return found
