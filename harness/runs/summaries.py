"""Summaries of raw samples: pure functions of records."""

from typing import NamedTuple

from harness.runs.record import Record
from harness.stats.settling import steady_part


class StepTime(NamedTuple):
    """Seconds per step over the steady blocks of a run: median, 5th and 95th percentile."""

    median: float
    p5: float
    p95: float


class SteadySteps(NamedTuple):
    """Seconds per step of each steady block, in order, and whether the warm-up had ended before them."""

    seconds: list[float]
    settled: bool


def steady_steps(record: Record) -> SteadySteps:
    """The blocks of full batches after the first step and the warm-up, which ends as that of a duel does.

    A run that is too short for that rule, or whose steps do not settle, is not settled: its steps are those
    of the later half, or those after the longest warm-up.
    """
    size = record.batch_size
    blocks = [block for block in record.blocks[1:] if block.batch_size == size]
    step_seconds = [block.seconds / block.steps for block in blocks]
    first, settled = steady_part([block.seconds for block in blocks], step_seconds)
    return SteadySteps(step_seconds[first:], settled)


def step_time(record: Record) -> StepTime | None:
    """The steady step time, with one sample per steady block; None if the run has no such block.

    The percentiles describe this process. They exclude the variance between processes.
    """
    import statistics  # here: it imports much that lists of records do without

    samples = steady_steps(record).seconds
    if not samples:
        return None
    if len(samples) == 1:
        return StepTime(samples[0], samples[0], samples[0])
    cuts = statistics.quantiles(samples, n=20, method="inclusive")
    return StepTime(statistics.median(samples), cuts[0], cuts[-1])


def samples_per_second(record: Record) -> float | None:
    """Training samples per second at the median steady step time."""
    steady = step_time(record)
    return record.batch_size / steady.median if steady else None


def generalization_gap(record: Record) -> float | None:
    """Training accuracy minus validation accuracy after the last epoch; None without classification."""
    if not record.epochs:
        return None
    last = record.epochs[-1]
    train, validation = last.train.get("accuracy"), last.validation.get("accuracy")
    return None if train is None or validation is None else train - validation
