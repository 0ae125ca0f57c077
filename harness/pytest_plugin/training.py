"""Training steps of a backend, timed in fresh processes: of head alone, or in turn with base's."""

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
from harness.gate.environments import Environment, probe, side_of
from harness.gate.quality import same_maths
from harness.gate.record import QualityResult
from harness.gate.suite import Benchmark, benchmark_of
from harness.plugins import registry
from harness.pytest_plugin.keywords import count
from harness.runs.data_choice import choose_dataset
from harness.runs.record import DatasetRecord

#: Fresh processes of each side, where no gate decides how many.
PAIRS = 5
_PROCESS_LIMIT_SECONDS = 1800.0
_TRIED_STEPS = 3

_log = logging.getLogger("harness")


class Wish(NamedTuple):
    """What a test asks for; ``pairs`` and ``turns`` are of the measurement, the rest of what is measured."""

    benchmark: Benchmark
    pairs: int
    turns: int | None
    certify: bool


class TimedPairs(NamedTuple):
    """What was measured of one side, or of base and head. ``quality`` is of two sides only."""

    sides: list[ConfigurationRecord]
    pairs: list[PairRecord]
    turns: int
    dataset: DatasetRecord
    quality: QualityResult | None = None


def wish(name: str, backend: str, task: str, options: Mapping[str, Any]) -> Wish:
    """The keywords of a test's call: those of a suite's benchmark, and some of the measurement's.

    Raises:
        UsageError: a keyword is unknown or its value wrong; says what would be right.
    """
    table = dict(options)
    mode = table.pop("mode", None)
    if mode is not None:
        if ":" in backend:
            raise UsageError(
                f"harness_benchmark: {backend!r} names a mode already, and mode={mode!r} another"
            )
        backend = f"{backend}:{mode}"
    pairs = count(table, "pairs", PAIRS)
    turns = count(table, "turns", 1) if "turns" in table else None
    certify = bool(table.pop("certify", True))
    table |= {"backend": backend, "task": task}
    return Wish(benchmark_of(name, table, {}, "harness_benchmark"), pairs, turns, certify)


def choose_data(benchmark: Benchmark) -> DatasetRecord:
    """The data set that all sides train on; see :func:`harness.runs.data_choice.choose_dataset`."""
    return choose_dataset(registry.task(benchmark.task), benchmark.dataset, lambda _what, _done, _total: None)


def sides_of(benchmark: Benchmark, environments: list[Environment]) -> list[Workload]:
    """The benchmark as each environment understands it.

    Raises:
        HarnessError: an environment lacks the harness, the framework or the names.
    """
    for environment in environments:
        probe(environment)
    return [side_of(environment, benchmark) for environment in environments]


def try_once(sides: list[Workload], dataset: str) -> None:
    """A short process of each side, of which no time is kept.

    Raises:
        HarnessError: a side does not work.
    """
    for side in sides:
        contender = TimedWorker(side, side.settings(quiet=True), _PROCESS_LIMIT_SECONDS)
        try:
            contender.start(dataset)
            contender.block(_TRIED_STEPS)
        finally:
            contender.session.kill_and_close()


def measure(sides: list[Workload], dataset: DatasetRecord, wished: Wish) -> TimedPairs:
    """So many pairs, or processes where there is one side.

    Raises:
        HarnessError: a side does not work, is not certified, or its clock is not honest.
    """
    settings = pad_to_equal_size([side.settings(quiet=True) for side in sides], [s.python for s in sides])
    with own_threads_kept():
        proofs = quality = None
        if wished.certify and len(sides) == 1:
            _log.info("%s: certifying", wished.benchmark.name)
            proofs = certificates(sides)
        elif wished.certify:
            quality = same_maths(sides, dataset.name, _PROCESS_LIMIT_SECONDS)
        ring = Alternation(sides, settings, dataset.name, deadline_seconds=lambda: _PROCESS_LIMIT_SECONDS)
        prepared = prepare(ring, proofs, wished.turns)
        chance = random.Random(secrets.randbits(64))  # noqa: S311  who goes first must not follow a seed
        pairs = []
        for number in range(wished.pairs):
            _log.info("%s: pair %d of %d", wished.benchmark.name, number + 1, wished.pairs)
            pairs.append(ring.pair(prepared.steps, prepared.turns, chance))
    return TimedPairs(prepared.records, pairs, prepared.turns, prepared.read(dataset), quality)


@contextmanager
def own_threads_kept() -> Iterator[None]:
    """The control binds NumPy of this process to one thread; tests that come after have theirs back."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield
