"""Training steps of a backend, timed in fresh processes: of head alone, or of base and head in turn."""

import logging
import random
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from harness.duel.pairs import Alternation
from harness.duel.preparation import certificates, prepare
from harness.duel.record import ConfigurationRecord, PairRecord
from harness.duel.timed_worker import TimedWorker
from harness.duel.workloads import Workload, pad_to_equal_size
from harness.errors import UsageError
from harness.gate.environments import Environment, probe, workload_of
from harness.gate.first_steps import compare_first_steps
from harness.gate.record import QualityResult
from harness.gate.suite import Benchmark, benchmark_of
from harness.plugins import registry
from harness.pytest_plugin.keywords import take_count
from harness.runs.record import DatasetRecord
from harness.runs.request import choose_dataset

#: Pairs of fresh processes, where no gate decides how many.
PAIRS = 5
_PROCESS_LIMIT_SECONDS = 1800.0
#: Steps of a short run that is not timed.
_UNTIMED_STEPS = 3

_log = logging.getLogger("harness")


class StepRequest(NamedTuple):
    """The call of a test: what to measure (``benchmark``), and how (the rest)."""

    benchmark: Benchmark
    pairs: int
    turns: int | None
    certify: bool


class TimedPairs(NamedTuple):
    """The measurements of one configuration, or of base and head; only of two there is a ``quality``."""

    configurations: list[ConfigurationRecord]
    pairs: list[PairRecord]
    turns: int
    dataset: DatasetRecord
    quality: QualityResult | None = None


def step_request(name: str, backend: str, task: str, options: Mapping[str, Any]) -> StepRequest:
    """The request in a test's call. Keywords: those of a benchmark in a suite, mode, pairs, turns, certify.

    Raises:
        UsageError: a keyword is unknown or its value wrong; says what would be right.
    """
    table = dict(options)
    mode = table.pop("mode", None)
    if mode is not None:
        if ":" in backend:
            raise UsageError(f"harness_benchmark: {backend!r} already has a mode; leave mode={mode!r} out")
        backend = f"{backend}:{mode}"
    pairs = take_count(table, "pairs", PAIRS)
    turns = take_count(table, "turns", 1) if "turns" in table else None
    certify = bool(table.pop("certify", True))
    table |= {"backend": backend, "task": task}
    return StepRequest(benchmark_of(name, table, {}, "harness_benchmark"), pairs, turns, certify)


def choose_data(benchmark: Benchmark) -> DatasetRecord:
    """The data set to train on; see :func:`harness.runs.request.choose_dataset`."""
    return choose_dataset(registry.task(benchmark.task), benchmark.dataset, lambda _what, _done, _total: None)


def workloads_of(benchmark: Benchmark, environments: list[Environment]) -> list[Workload]:
    """The benchmark as the plugins of each environment define it.

    Raises:
        HarnessError: an environment lacks the harness, the framework or the names.
    """
    for environment in environments:
        probe(environment)
    return [workload_of(environment, benchmark) for environment in environments]


def run_untimed(workloads: list[Workload], dataset: str) -> None:
    """A few steps of each workload in a fresh process.

    Raises:
        HarnessError: a workload does not run.
    """
    for workload in workloads:
        worker = TimedWorker(workload, workload.worker_variables(quiet=True), _PROCESS_LIMIT_SECONDS)
        try:
            worker.start(dataset)
            worker.block(_UNTIMED_STEPS)
        finally:
            worker.end()


def measure(workloads: list[Workload], dataset: DatasetRecord, request: StepRequest) -> TimedPairs:
    """The requested number of pairs, or of processes where there is one workload.

    Raises:
        HarnessError: a workload does not run, is not certified, or its clock is not honest.
    """
    variables = pad_to_equal_size(
        [workload.worker_variables(quiet=True) for workload in workloads],
        [workload.configuration.python for workload in workloads],
    )
    with own_threads_kept():
        proofs = quality = None
        if request.certify and len(workloads) == 1:
            _log.info("%s: certifying", request.benchmark.name)
            proofs = certificates(workloads)
        elif request.certify:
            quality = compare_first_steps(workloads, dataset.name, _PROCESS_LIMIT_SECONDS)
        alternation = Alternation(
            workloads,
            variables,
            dataset.name,
            deadline_seconds=lambda: _PROCESS_LIMIT_SECONDS,
            certified=proofs is not None,
            pairs=request.pairs,
        )
        prepared = prepare(alternation, proofs, request.turns)
        chance = random.Random(secrets.randbits(64))  # noqa: S311  the order must not depend on a seed
        pairs = []
        for number in range(request.pairs):
            _log.info("%s: pair %d of %d", request.benchmark.name, number + 1, request.pairs)
            pairs.append(alternation.pair(prepared.steps, prepared.turns, chance))
    return TimedPairs(prepared.records, pairs, prepared.turns, prepared.read(dataset), quality)


@contextmanager
def own_threads_kept() -> Iterator[None]:
    """Restore the threads of NumPy, which the control computation limits to one in this process."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield
