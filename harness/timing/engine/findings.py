"""Findings about each configuration alone: steady step, start-up, FLOP/s, memory."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from harness.core.machine.quantities import Measured, medians
from harness.core.stats.estimate import Estimate
from harness.timing.engine.record import ConfigurationRecord, PairRecord, ProcessRecord

_TAIL = 0.025
#: With fewer processes the interval of their median has no ends: ``0.5**5`` is more than its tail.
FEWEST_FOR_MEDIAN = 6


class PairsSource(Protocol):
    """Configurations and their pairs, such as a duel's record."""

    @property
    def configurations(self) -> list[ConfigurationRecord]: ...

    @property
    def pairs(self) -> list[PairRecord]: ...


class ConfigurationFindings(NamedTuple):
    """Medians over the processes of a configuration.

    ``start_up_seconds`` are import, build, first step, and the time that warm-up and the first call of each
    length took in excess of the same number of steady steps.
    """

    step_seconds: Estimate
    block_steps: int
    import_seconds: float
    build_seconds: float
    first_step_seconds: float
    start_up_seconds: float
    samples_per_second: float
    flops_per_second: float
    measured: Measured
    warm_up_blocks: float
    unsettled: int


def configuration_findings(record: PairsSource, index: int) -> ConfigurationFindings:
    """Compute the findings about one configuration, from at least one pair."""
    configuration = record.configurations[index]
    processes = [pair.processes[index] for pair in record.pairs]
    steps = [steady_step_seconds(pair, index) for pair in record.pairs]
    step = median_interval(steps)
    block_steps = next(block.steps for block in record.pairs[0].blocks if block.configuration == index)
    start_ups = [
        start_up_seconds(process, own, block_steps) for process, own in zip(processes, steps, strict=True)
    ]
    samples_per_second = configuration.batch_size / step.value
    return ConfigurationFindings(
        step_seconds=step,
        block_steps=block_steps,
        import_seconds=statistics.median(process.import_seconds for process in processes),
        build_seconds=statistics.median(process.build_seconds for process in processes),
        first_step_seconds=statistics.median(process.first_step_seconds for process in processes),
        start_up_seconds=statistics.median(start_ups),
        samples_per_second=samples_per_second,
        flops_per_second=samples_per_second * configuration.training_flops_per_sample,
        measured=medians(process.measured for process in processes),
        warm_up_blocks=statistics.median(len(process.warm_up_seconds) for process in processes),
        unsettled=sum(not process.settled for process in processes),
    )


def steady_step_seconds(pair: PairRecord, index: int) -> float:
    """Return the median step over the undisturbed blocks of one process, else over all its blocks."""
    blocks = [block for block in pair.blocks if block.configuration == index]
    calm = [block for block in blocks if not block.disturbed] or blocks
    return statistics.median(block.seconds / block.steps for block in calm)


def median_interval(values: Sequence[float]) -> Estimate:
    """Return the median, with a 95 % interval between two of the ordered values.

    The interval is exact for any distribution and conservative (Conover 1999, section 3.2). There is none for
    fewer than :data:`FEWEST_FOR_MEDIAN` values.
    """
    count, below = len(values), 0
    tail = 0.5**count
    while tail <= _TAIL:
        below += 1
        tail += math.comb(count, below) * 0.5**count
    ordered = sorted(values)
    low, high = (ordered[below - 1], ordered[-below]) if below else (None, None)
    return Estimate(statistics.median(values), low, high, count)


def start_up_seconds(process: ProcessRecord, step_seconds: float, block_steps: int) -> float:
    """Return import, build, first step, and the excess of warm-up and first calls over ``step_seconds``."""
    warm_up_steps = len(process.warm_up_seconds) * block_steps
    warm_up_excess = sum(process.warm_up_seconds) - warm_up_steps * step_seconds
    first_call_excess = process.first_call_seconds - process.first_call_steps * step_seconds
    measured = process.import_seconds + process.build_seconds + process.first_step_seconds
    return measured + max(0.0, warm_up_excess) + max(0.0, first_call_excess)
