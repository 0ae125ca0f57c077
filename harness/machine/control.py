"""A fixed piece of work that owes nothing to the sides: when it changes, the machine has changed."""

import time

import numpy as np

_SIZE = 384


def control_library() -> str:
    """What multiplies the matrices: another library, or another version of it, takes another time."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"NumPy {np.__version__} with {blas.get('name')} {blas.get('version')}"


class Control:
    """A single-precision matrix product in NumPy, on one thread, of a few milliseconds."""

    def __init__(self) -> None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, "blas")
        self._left = np.random.default_rng(0).standard_normal((_SIZE, _SIZE), np.float32)
        self._out = np.empty_like(self._left)

    def seconds(self) -> float:
        """What one product takes now: the faster of three."""
        return min(self._once() for _ in range(3))

    def _once(self) -> float:
        start = time.perf_counter()
        np.matmul(self._left, self._left, out=self._out)
        return time.perf_counter() - start
