"""The time of a user's own call, measured as in duels: warmed up until settled, in blocks of 0.1 s."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from harness.core.machine.usage import between, disturbed, read_counters
from harness.core.stats import settling

#: Time of one block. A call is timed alone, so its blocks need not be as short as those of a duel.
_BLOCK_SECONDS = 0.11
_MOST_CALLS = 1 << 24


class Calls(NamedTuple):
    """Seconds per call, one value for each block of ``block_calls`` calls, and the result of the last call.

    Blocks disturbed by other work are left out; ``disturbed_blocks`` counts them.
    """

    seconds: list[float]
    block_calls: int
    first_call_seconds: float
    warm_up_seconds: list[float]
    settled: bool
    disturbed_blocks: int
    result: Any

    def info(self) -> dict[str, Any]:
        """Return everything except the samples and the result, for ``extra_info``."""
        return {name: value for name, value in self._asdict().items() if name not in {"seconds", "result"}}


def time_calls(function: Callable[[], Any], blocks: int) -> Calls:
    """Call the function until its times have settled, then time ``blocks`` blocks.

    The function must return when its work is done: with an accelerator, it must wait for it.
    """
    caller = _Caller(function)
    first_call_seconds = caller.block(1)
    count = _calls_of_a_block(caller)
    warm_up: list[float] = []
    settled = False
    while not settled and not settling.is_hopeless(warm_up):
        warm_up.append(caller.block(count))
        settled = settling.has_settled(warm_up)
    timed, disturbances, busy = [], [], 1
    for _ in range(blocks):
        before = read_counters()
        timed.append(caller.block(count))
        after = read_counters()
        disturbances.append(between(before, after))
        busy = max(busy, round((after.ours - before.ours) / timed[-1]))
    if sys.gettrace() is not None:
        caller.result = function()  # so that coverage sees its lines once
    marks = disturbed(disturbances, timed, busy)
    calm = [seconds for seconds, mark in zip(timed, marks, strict=True) if not mark] or timed
    return Calls(
        seconds=[seconds / count for seconds in calm],
        block_calls=count,
        first_call_seconds=first_call_seconds,
        warm_up_seconds=warm_up,
        settled=settled,
        disturbed_blocks=sum(marks),
        result=caller.result,
    )


class _Caller:
    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self.result: Any = None

    def block(self, calls: int) -> float:
        """Return the seconds of ``calls`` calls."""
        function = self._function
        with _untraced():
            start = time.perf_counter()
            for _ in range(calls):
                result = function()
            seconds = time.perf_counter() - start
        self.result = result
        return seconds


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    """Turn off coverage, debugger and profiler, which slow the traced code down severalfold."""
    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        if callable(profiler):  # cProfile's own cannot be set from here before Python 3.12
            sys.setprofile(profiler)
        sys.settrace(tracer)


def _calls_of_a_block(caller: _Caller) -> int:
    calls = 1
    while (taken := caller.block(calls)) < _BLOCK_SECONDS and calls < _MOST_CALLS:
        calls = max(2 * calls, min(8 * calls, round(calls * _BLOCK_SECONDS / max(taken, 1e-9))))
    return calls
