"""One side by itself: its first losses, and fresh processes, one after the other."""

import random
from collections.abc import Callable

from harness.duel.pairs import Alternation
from harness.duel.preparation import prepare
from harness.duel.record import ConfigurationRecord
from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.workloads import Workload
from harness.gate.baseline import StoredBenchmark
from harness.gate.learner import Maths
from harness.gate.quality import observe
from harness.gate.suite import Benchmark
from harness.runs.record import DatasetRecord

#: Fresh processes of a benchmark, for a baseline and of a head that is held against one.
PROCESSES = 10
_PROCESS_LIMIT_SECONDS = 1800.0


def first_losses(side: Workload, dataset: DatasetRecord, say: Callable[[str], None]) -> list[Maths]:
    """What this side computes; raises ConfigurationFailed where it could not."""
    say("its first losses")
    return observe(side, dataset.name, _PROCESS_LIMIT_SECONDS)


def measure_alone(
    benchmark: Benchmark,
    side: Workload,
    dataset: DatasetRecord,
    maths: list[Maths],
    turns: int | None,
    say: Callable[[str], None],
    see: Callable[[ConfigurationRecord], None] = lambda _side: None,
    block_steps: int | None = None,
) -> StoredBenchmark:
    """What this side, whose first losses are known, shows now.

    In so many turns, and in blocks of so many steps, where they are given; by its own pace otherwise. ``see``
    is shown what it is before it is measured, and may raise.

    Raises:
        ConfigurationFailed: it could not do it, or not in the time that a process may take.
    """
    ring = Alternation(
        [side], [side.settings(quiet=True)], dataset.name, deadline_seconds=lambda: _PROCESS_LIMIT_SECONDS
    )
    say("trying it once")
    prepared = prepare(ring, None, turns, block_steps)
    (record,), data = prepared.records, prepared.read(dataset)
    see(record)
    if prepared.pair_seconds > _PROCESS_LIMIT_SECONDS:
        raise ConfigurationFailed(
            side.label,
            f"a process of {prepared.turns} blocks of {prepared.steps[0]} steps would take "
            f"{prepared.pair_seconds:.0f} s, and may take {_PROCESS_LIMIT_SECONDS:.0f}",
        )
    say(f"{PROCESSES} processes of about {prepared.pair_seconds:.0f} s")
    nobody_else = random.Random(0)  # noqa: S311  with one side there is no order to draw
    return StoredBenchmark(
        asked=benchmark,
        plan=side.plan,
        dataset=data,
        side=record,
        turns=prepared.turns,
        maths=maths,
        processes=[ring.pair(prepared.steps, prepared.turns, nobody_else) for _ in range(PROCESSES)],
    )
