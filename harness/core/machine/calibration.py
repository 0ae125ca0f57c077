"""NumPy on this machine: a fixed computation as a control, and the peak of arithmetic."""

import timeit
from collections.abc import Callable

import numpy as np

_SIZE = 384


class Control:
    """A float32 matrix product in NumPy on one thread, which takes a few milliseconds."""

    def __init__(self) -> None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, "blas")
        self._left = np.random.default_rng(0).standard_normal((_SIZE, _SIZE), np.float32)
        self._out = np.empty_like(self._left)

    def seconds(self) -> float:
        """Time a product in seconds: the fastest of three."""
        return min(timeit.repeat(lambda: np.matmul(self._left, self._left, self._out), number=1, repeat=3))


_MATRIX_SIZE = 1536
_REPETITIONS = 5


def _fastest_seconds(work: Callable[[], object]) -> float:
    work()
    return min(timeit.repeat(work, number=1, repeat=_REPETITIONS))


def peak_flops_per_second(threads: int) -> float:
    """Measure FLOP/s of a single-precision matrix product with this many threads; the fastest of five."""
    from threadpoolctl import threadpool_limits

    matrix = np.random.default_rng(0).standard_normal((_MATRIX_SIZE, _MATRIX_SIZE), np.float32)
    out = np.empty_like(matrix)
    with threadpool_limits(threads, "blas"):
        seconds = _fastest_seconds(lambda: np.matmul(matrix, matrix, out=out))
    return float(2 * _MATRIX_SIZE**3 / seconds)
