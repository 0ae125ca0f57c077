"""The records of benchmarks before anything is measured, and of those that cannot be measured."""

import msgspec

from harness.duel.workloads import Workload
from harness.gate.reasons import Removed, Replaced
from harness.gate.record import BenchmarkRecord
from harness.gate.suite import Benchmark, work_of
from harness.runs.record import DatasetRecord


def new_record(benchmark: Benchmark, dataset: DatasetRecord) -> BenchmarkRecord:
    """The record of a benchmark of which nothing is measured yet."""
    backend, _, mode = benchmark.backend.partition(":")
    return BenchmarkRecord(
        name=benchmark.name,
        backend=backend,
        mode=mode,
        task=benchmark.task,
        options=benchmark.options,
        asked=benchmark,
        dataset=msgspec.structs.replace(dataset),
        threads=benchmark.threads or 0,
        limits=benchmark.limits,
    )


def fill_in(record: BenchmarkRecord, head: Workload) -> None:
    """Set what the suite left to the environment."""
    record.mode, record.options, record.threads = head.plan.mode, head.options, head.plan.threads


def removed_record(benchmark: Benchmark) -> BenchmarkRecord:
    """The record of a benchmark that only base's suite has: it fails, for what is not run has not passed."""
    record = new_record(benchmark, DatasetRecord(benchmark.dataset or ""))
    record.verdict, record.vanished, record.reasons = "FAIL", True, [Removed()]
    return record


def mark_replaced(record: BenchmarkRecord, earlier: Benchmark, now: Benchmark) -> None:
    """Fail a benchmark under whose name base's suite has other work."""
    record.verdict, record.vanished = "FAIL", True
    record.reasons = [Replaced(base=work_of(earlier), head=work_of(now))]
