"""Both models of a comparison, each in a process of its own; the processes work at the same time."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from harness.core.models.reading import SideSpec
from harness.core.models.remote_side import RemoteSide

_T = TypeVar("_T")


class Sides:
    """The processes of both models: a context manager, which ends them."""

    def __init__(self, a: SideSpec, b: SideSpec, threads: int, timeout_seconds: float | None) -> None:
        """Start a process for each of the models ``a`` and ``b``, with ``threads`` CPU threads each."""
        self._stack = contextlib.ExitStack()
        # Closed last: its threads, one a side, wait for the processes, and end when these end.
        self._pool = self._stack.enter_context(ThreadPoolExecutor(2))
        with contextlib.ExitStack() as unless_both_start:
            unless_both_start.push(self._stack)
            self.a, self.b = (
                self._stack.enter_context(RemoteSide(spec.target, threads, timeout_seconds))
                for spec in (a, b)
            )
            unless_both_start.pop_all()

    def both(self, call: Callable[[RemoteSide], _T]) -> tuple[_T, _T]:
        """Return the results of ``call`` on each side, or raise the error of the first side that fails."""
        one, other = (self._pool.submit(call, side) for side in (self.a, self.b))
        return one.result(), other.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
