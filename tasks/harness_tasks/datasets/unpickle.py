"""Reading the pickles of the official archive without running code that they may contain."""

import io
import pickle
from typing import Any

import numpy as np

from harness.errors import DataError

#: What a pickled array is made of. The functions are taken from an array, because they have no public names.
_ADMITTED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0],
}


def arrays_from_pickle(content: bytes, where: str) -> object:
    """Read a pickle of Python 2 or 3 that holds only NumPy arrays and plain containers.

    Text of Python 2 is returned as bytes. Every other class or function in the pickle is refused before it is
    looked up, so that nothing is imported or run.

    Args:
        content: The pickle.
        where: The name of the file, for the error.
    """
    try:
        return _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a broken pickle can raise anything
        raise DataError(f"{where} is not a pickle of NumPy arrays: {error}") from error


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 moved numpy.core to numpy._core; older pickles, such as the official ones, use the former.
        function = _ADMITTED.get((module.replace("numpy.core.", "numpy._core."), name))
        if function is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return function
