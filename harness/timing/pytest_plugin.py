"""The pytest plugin: the fixture ``harness_benchmark`` on top of pytest-benchmark, and ``--harness-base``.

Every pytest in an environment with dl-harness loads it, so it imports almost nothing before its fixture is
used.
"""

import functools
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.timing.environments.environment import Environment
    from harness.timing.gate.record import GateRecord

_OPTION = "--harness-base"
#: The blocks that are timed in this process, and the least time of each.
_BLOCKS, _BLOCK_SECONDS = 24, 0.1
#: The chance that unchanged code fails, over all selected benchmarks together.
_FALSE_ALARMS = 0.01


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--harness-base``."""
    parser.getgroup("harness", "deep-learning benchmarks (dl-harness)").addoption(
        _OPTION,
        metavar="COMMIT",
        help="Compare the calls of harness_benchmark with those of this commit, branch or tag, as harness "
        "gate does; head is the working tree. A test fails unless the verdict is PASS.",
    )


@pytest.fixture(scope="session")
def _harness_sides(pytestconfig: pytest.Config) -> "Iterator[tuple[Environment, Environment] | None]":
    """Check base out for the session; give base and head, or None without ``--harness-base``."""
    reference = pytestconfig.getoption(_OPTION)
    if reference is None:
        yield None
        return
    from harness.core.shell.console import LiveLine
    from harness.timing.environments.commits import CommitPair

    with ExitStack() as stack:
        try:
            with mock.patch.dict(os.environ):  # the user's own tests keep their PYTHONPATH
                pair = CommitPair(pytestconfig.rootpath, reference, LiveLine(quiet=True), stack, _OPTION)
                sides = pair.in_this_interpreter()
        except HarnessError as error:
            pytest.fail(str(error), pytrace=False)
        yield sides


@pytest.fixture
def harness_benchmark(
    request: pytest.FixtureRequest,
    benchmark: Any,
    _harness_sides: "tuple[Environment, Environment] | None",
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Any]:
    """Time ``harness_benchmark(function, *arguments, **keywords)`` and return the function's result."""

    def run(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        call = functools.partial(function, *arguments, **keywords)
        calls = _warm_up(call) if benchmark.enabled else 1
        result = benchmark.pedantic(function, arguments, keywords, rounds=_BLOCKS, iterations=calls)
        if _harness_sides is not None:
            try:
                if not benchmark.enabled:
                    raise UsageError(f"{_OPTION} times nothing with --benchmark-disable or xdist (-n)")
                record = _gate(request, call, _harness_sides, tmp_path_factory.getbasetemp() / "harness")
            except HarnessError as error:
                pytest.fail(str(error), pytrace=False)
            benchmark.extra_info["verdict"] = record.verdict
            if record.verdict != "PASS":
                pytest.fail(_failure(record), pytrace=False)
        return result

    return run


def _warm_up(call: Callable[[], Any]) -> int:
    """Call a function until the times of its blocks have settled; return the calls of a block."""
    from harness.core.stats import settling

    calls, warm_up = 1, list[float]()
    while (seconds := _timed(call, calls)) < _BLOCK_SECONDS:
        calls = max(2 * calls, min(8 * calls, round(calls * _BLOCK_SECONDS / max(seconds, 1e-9))))
    while not settling.has_settled(warm_up) and not settling.is_hopeless(warm_up):
        warm_up.append(_timed(call, calls))
    return calls


def _timed(call: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


def _gate(
    request: pytest.FixtureRequest,
    call: "functools.partial[Any]",
    sides: "tuple[Environment, Environment]",
    folder: Path,
) -> "GateRecord":
    """Compare a call with base's by a gate, whose record is written to ``folder``."""
    from threadpoolctl import threadpool_limits

    from harness.core.runs.record import DatasetRecord
    from harness.timing.environments.suite import Benchmark, Suite
    from harness.timing.gate.display import GateDisplay
    from harness.timing.gate.runner import Gate, GateRequest

    benchmark = Benchmark(
        name=request.node.nodeid,
        step=_target_of(call.func, request.config.rootpath),
        arguments=_arguments_of(call),
        call=True,
    )
    gated = sum("harness_benchmark" in getattr(item, "fixturenames", ()) for item in request.session.items)
    base, head = sides
    gate = GateRequest(
        command=sys.argv[1:],
        suite=Suite(file="pytest", benchmarks=(benchmark,), false_alarms=_FALSE_ALARMS / max(1, gated)),
        base=base,
        head=head,
        datasets=[DatasetRecord("")],
    )
    with threadpool_limits(1, "blas"):  # restores the threads, which the gate limits in this process
        record = Gate(gate, folder, GateDisplay(quiet=True)).carry_out()
    if record.status == "interrupted":
        raise KeyboardInterrupt
    if record.status == "failed":
        raise HarnessError(record.failure)
    return record


def _target_of(function: Callable[..., Any], folder: Path) -> str:
    """Return the name by which another process finds a function."""
    name, module = getattr(function, "__qualname__", ""), sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None)
    if not name.isidentifier() or file is None or getattr(module, name, None) is not function:
        raise UsageError(
            f"{_OPTION}: {name or function!r} is not a function at the top level of a module, so a fresh "
            "process cannot find it"
        )
    path = Path(file)
    is_own = path.is_relative_to(folder) and "site-packages" not in path.parts
    return f"{path.relative_to(folder)}:{name}" if is_own else f"{function.__module__}:{name}"


def _arguments_of(call: "functools.partial[Any]") -> dict[str, Any]:
    """Return the arguments by name, as a fresh process gets them."""
    try:
        arguments = inspect.signature(call.func).bind(*call.args, **call.keywords).arguments
        json.dumps(arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{_OPTION}: the arguments of {call.func.__name__} cannot be sent to a fresh process ({error}); "
            "make them in a function without arguments"
        ) from error
    return dict(arguments)


def _failure(record: "GateRecord") -> str:
    """Return the verdict with its reasons and the cautions about the two sides."""
    from harness.timing.gate.circumstances import cautions
    from harness.timing.gate.words import why

    (benchmark,) = record.benchmarks
    return " ".join([f"{record.verdict}: {why(benchmark)}.", *cautions(record)])
