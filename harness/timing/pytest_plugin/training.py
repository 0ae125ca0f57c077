"""Training steps of a backend, timed in fresh processes: of head alone, or of base and head in turn."""

import inspect
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.plugins import registry
from harness.core.runs.record import DatasetRecord
from harness.core.runs.request import choose_dataset
from harness.errors import UsageError
from harness.timing.engine.pairs import Alternation, Program, steps_of, trainings_of
from harness.timing.engine.preparation import certificates, prepare
from harness.timing.engine.record import ConfigurationRecord, PairRecord
from harness.timing.engine.steps.late import LateCalls
from harness.timing.environments.environment import Environment, probe, program_of
from harness.timing.environments.imports import ImportedFiles
from harness.timing.environments.suite import Benchmark
from harness.timing.environments.suite_file import benchmark_of
from harness.timing.gate.benchmark import compare_sides, judged_late_calls
from harness.timing.gate.record import QualityResult
from harness.timing.pytest_plugin.options import take_count

#: Pairs of fresh processes, where no gate decides how many.
PAIRS = 5
#: Steps of a short run that is not timed.
_UNTIMED_STEPS = 3

_log = logging.getLogger("harness")


class StepRequest(NamedTuple):
    """The call of a test: the ``benchmark`` to measure, and the settings of the measurement."""

    benchmark: Benchmark
    pairs: int
    turns: int | None
    certify: bool


class TimedPairs(NamedTuple):
    """The measurements of one configuration, or of base and head; only two have a ``quality``."""

    configurations: list[ConfigurationRecord]
    pairs: list[PairRecord]
    turns: int
    dataset: DatasetRecord
    quality: QualityResult | None = None


def step_request(name: str, options: Mapping[str, Any]) -> StepRequest:
    """Return the request in a test's call, from the keywords of a benchmark in a suite, pairs and turns.

    Where a backend trains a task, also mode and certify.

    Raises:
        UsageError: a keyword is unknown or its value wrong; says what would be right.
    """
    table, certify = dict(options), True
    if "step" not in table:
        certify = bool(table.pop("certify", True))
        mode = table.pop("mode", None)
        if mode is not None and ":" in table["backend"]:
            raise UsageError(
                f"harness_benchmark: {table['backend']!r} already has a mode; leave mode={mode!r} out"
            )
        if mode is not None:
            table["backend"] += f":{mode}"
    pairs = take_count(table, "pairs", PAIRS)
    turns = take_count(table, "turns", 1) if "turns" in table else None
    return StepRequest(benchmark_of(name, table, {}, "harness_benchmark"), pairs, turns, certify)


def target_of(function: Callable[..., Any], folder: Path) -> str:
    """Return the name by which another process finds a function of a test module or an installed module.

    Raises:
        UsageError: it is not at the top level of a module.
    """
    name, module = getattr(function, "__qualname__", ""), sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None)
    if not name.isidentifier() or file is None or getattr(module, name, None) is not function:
        raise UsageError(
            f"harness_benchmark: {name or function!r} is not a function at the top level of a module, so a "
            "fresh process cannot find it"
        )
    path = Path(file)
    is_own = path.is_relative_to(folder) and "site-packages" not in path.parts
    return f"{path.relative_to(folder)}:{name}" if is_own else f"{function.__module__}:{name}"


def arguments_of(function: Callable[..., Any], given: Sequence[Any]) -> dict[str, Any]:
    """Return positional arguments by name; raise UsageError for one that cannot be sent to a process."""
    try:
        arguments = inspect.signature(function).bind(*given).arguments
        json.dumps(arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"harness_benchmark: the arguments of {function.__name__} cannot be sent to a fresh process "
            f"({error}); make them in a function without arguments"
        ) from error
    return dict(arguments)


def choose_data(benchmark: Benchmark) -> DatasetRecord:
    """Choose the data set to train on: see :func:`harness.core.runs.request.choose_dataset`."""
    if benchmark.step:
        return DatasetRecord("")
    return choose_dataset(registry.task(benchmark.task), benchmark.dataset, lambda _what, _done, _total: None)


def workloads_of(benchmark: Benchmark, environments: list[Environment]) -> list[Program]:
    """Return the benchmark as the plugins of each environment define it, or its own step there.

    Raises:
        HarnessError: an environment lacks the harness, the framework or the names.
    """
    for environment in environments:
        probe(environment, needs_harness=not benchmark.step)
    return [program_of(environment, benchmark, environments[-1]) for environment in environments]


def run_untimed(workloads: list[Program], dataset: str) -> None:
    """Make a few steps of each workload in a fresh process.

    Raises:
        HarnessError: a workload does not run.
    """
    for workload in workloads:
        worker = Alternation([workload], dataset).worker(0)
        try:
            worker.begin(dataset, 0)
            worker.await_build()
            worker.make_first_step()
            worker.block(_UNTIMED_STEPS)
        finally:
            worker.end()


def measure(workloads: list[Program], dataset: DatasetRecord, request: StepRequest) -> TimedPairs:
    """Make the requested number of pairs, or of processes where there is one workload.

    Raises:
        HarnessError: a workload does not run, is not certified, or its clock is not honest.
    """
    with own_threads_kept():
        proofs = quality = None
        if request.certify and len(workloads) > 1:
            quality = compare_sides(workloads, request.benchmark, dataset.name, ImportedFiles())
        elif request.certify and (training := trainings_of(workloads)):
            _log.info("%s: certifying", request.benchmark.name)
            proofs = certificates(training)
        certified = proofs is not None
        alternation = Alternation(workloads, dataset.name, certified=certified, pairs=request.pairs)
        prepared = prepare(alternation, proofs, request.turns)
        pairs, late = [], LateCalls(steps_of(workloads))
        for number in range(request.pairs):
            _log.info("%s: pair %d of %d", request.benchmark.name, number + 1, request.pairs)
            pairs.append(alternation.pair(prepared.steps, prepared.turns))
            if quality is not None:
                quality = judged_late_calls(quality, late, alternation.returned)
    return TimedPairs(prepared.records, pairs, prepared.turns, prepared.read(dataset), quality)


@contextmanager
def own_threads_kept() -> Iterator[None]:
    """Restore the threads of NumPy, which the control computation limits to one in this process."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield
