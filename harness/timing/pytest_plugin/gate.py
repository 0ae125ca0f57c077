"""The gate of one test: a suite of one benchmark, judged as ``harness gate`` judges it."""

import logging
import sys
from pathlib import Path

from harness.core.runs.record import DatasetRecord
from harness.errors import HarnessError
from harness.timing.engine.outlook import Outlook
from harness.timing.environments.environment import Environment
from harness.timing.environments.suite import Suite
from harness.timing.gate.advice import Options, advice
from harness.timing.gate.circumstances import cautions
from harness.timing.gate.record import BenchmarkRecord, GateRecord
from harness.timing.gate.runner import Gate, GateRequest
from harness.timing.gate.words import metric_text, why
from harness.timing.pytest_plugin.training import StepRequest, TimedPairs, own_threads_kept

#: The names of the options of ``harness gate`` here.
_OPTIONS = Options(budget="--harness-budget", turns="turns=")

_log = logging.getLogger("harness")


class _LoggingObserver:
    """An observer that logs the progress of a gate; pytest shows it with ``--log-cli-level=INFO``."""

    def phase(self, benchmark: str, activity: str) -> None:
        _log.info("%s: %s", benchmark, activity)

    def judged(self, benchmark: BenchmarkRecord, stage: str) -> None:
        _log.info("%s: %s after the %s", benchmark.name, benchmark.verdict, stage)

    def confirming(self, benchmark: BenchmarkRecord, outlook: Outlook) -> None:
        _log.info("%s: more pairs, about %.0f s", benchmark.name, outlook.seconds)

    def paired(self, benchmark: BenchmarkRecord, outlook: Outlook) -> None:
        _log.info("%s: about %.0f s left", benchmark.name, outlook.seconds)


def run_gate(
    request: StepRequest,
    environments: list[Environment],
    dataset: DatasetRecord,
    folder: Path,
    *,
    false_alarms: float,
    budget_seconds: float | None,
) -> GateRecord:
    """Compare head with base, the two environments. A failing process is a verdict, not an error.

    ``false_alarms`` is the chance that this test fails for unchanged code. The record of the gate is written
    to ``folder``.

    Raises:
        HarnessError: an environment lacks the harness or the framework, or the record cannot be written.
        KeyboardInterrupt: the user interrupted the gate.
    """
    base, head = environments
    gate = GateRequest(
        command=sys.argv[1:],
        suite=Suite(file="pytest", benchmarks=(request.benchmark,), false_alarms=false_alarms),
        base=base,
        head=head,
        datasets=[dataset],
        budget_seconds=budget_seconds,
        turns=request.turns,
        unwatched="pytest does not report tests that were removed",
    )
    with own_threads_kept():
        record = Gate(gate, folder, _LoggingObserver()).carry_out()
    if record.status == "interrupted":
        raise KeyboardInterrupt
    if record.status == "failed":
        raise HarnessError(record.failure)
    return record


def measured_pairs(record: BenchmarkRecord) -> TimedPairs:
    """Return all pairs that the verdict rests on; none where a process failed before the first."""
    pairs = [*record.look, *record.confirmation]
    return TimedPairs(record.configurations, pairs, record.turns, record.dataset, record.quality)


def verdict_text(gate: GateRecord) -> str:
    """Return the verdict with its evidence or reasons, then the cautions."""
    (record,) = gate.benchmarks
    equal = "return the same values" if record.is_step else "compute the same losses"
    evidence = "; ".join(map(metric_text, record.metrics)) or f"base and head {equal}"
    text = f"{record.verdict}: {evidence if record.verdict == 'PASS' else why(record)}."
    return " ".join([text, *cautions(gate)])


def failure_text(gate: GateRecord) -> str:
    """Return the verdict, and the next step in lines of their own."""
    (record,) = gate.benchmarks
    return "\n".join(filter(None, [verdict_text(gate), *advice(gate, record, _OPTIONS)]))
