"""The control: a fixed computation, independent of what is timed. If its time changes, so did the machine."""

import time

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
        """The time of one product now: the fastest of three."""
        return min(self._once() for _ in range(3))

    def _once(self) -> float:
        start = time.perf_counter()
        np.matmul(self._left, self._left, out=self._out)
        return time.perf_counter() - start
