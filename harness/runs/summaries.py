"""Summaries of raw samples: pure functions of records."""

from typing import NamedTuple

from harness.runs.record import Record


class StepTime(NamedTuple):
    """Seconds per step over the steady blocks of a run: median, 5th and 95th percentile."""

    median: float
    p5: float
    p95: float


def steady_steps(record: Record) -> list[float]:
    """Seconds per step of each steady block, in order: blocks of full batches after the first step."""
    size = record.batch_size
    return [block.seconds / block.steps for block in record.blocks[1:] if block.batch_size == size]


def step_time(record: Record) -> StepTime | None:
    """The steady step time, with one sample per steady block; None if the run has no such block.

    The percentiles describe this process. They exclude the variance between processes.
    """
    import statistics  # here: it imports much that lists of records do without

    samples = steady_steps(record)
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
