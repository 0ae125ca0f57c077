"""A bisection as it is stored after its end."""

from harness.timing.bisect.record import BisectRecord, Candidate, Probe, Skipped
from harness.timing.environments.suite import Benchmark
from support.records import MACHINE


def made_bisection(**changes) -> BisectRecord:
    """Twelve commits, of which the sixth is 20 % slower; the third cannot be run."""
    values = {0: [0.0, 0.01, -0.01, 0.0], 11: [0.18, 0.19, 0.18, 0.17], 5: [0.18, 0.2], 4: [0.0, 0.01]}
    fields = {
        "id": "20260106-000000-000-bisection-0000",
        "status": "ok",
        "started_at": "2026-01-06T00:00:00+00:00",
        "command": ["bisect", "--good", "v1", "--step", "bench.py:make_step"],
        "machine": MACHINE,
        "kind": "commit",
        "metric": "step",
        "benchmark": Benchmark(name="step", step="bench.py:make_step"),
        "same_within": 0.02,
        "probability": 0.95,
        "candidates": [Candidate(f"{number:010x}", f"change {number}") for number in range(12)],
        "steps": [10, 10],
        "turns": 6,
        "probes": [Probe(candidate=number, log_ratio=log) for number, logs in values.items() for log in logs],
        "skipped": [Skipped(2, "bench.py:make_step raised ZeroDivisionError")],
        "confirmation": [0.18, 0.19, 0.17, 0.18],
        "outcome": "culprit",
        "seconds": 100.0,
    }
    return BisectRecord(**{**fields, **changes})
