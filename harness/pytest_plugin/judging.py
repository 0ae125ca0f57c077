"""The gate's verdict on one test: a suite of one benchmark, judged as ``harness gate`` judges it."""

import logging
from pathlib import Path

import msgspec

from harness.errors import HarnessError
from harness.gate.conduct import Gate, GateRequest
from harness.gate.environments import Environment
from harness.gate.record import BenchmarkRecord, GateRecord
from harness.gate.suite import Suite
from harness.pytest_plugin.training import TimedPairs, Wish, own_threads_kept
from harness.report.gate_words import cautions, metric_sentence, why
from harness.runs.record import DatasetRecord

#: What a gate advises by its own options, and what is given in pytest in their place.
_OPTIONS = {"(--budget)": "(--harness-budget)", "(--turns)": "(turns=)"}

_log = logging.getLogger("harness")


class _Log:
    """A gate's observer: pytest's ``--log-cli-level=INFO`` shows how it goes."""

    def phase(self, benchmark: str, what: str) -> None:
        _log.info("%s: %s", benchmark, what)

    def judged(self, benchmark: BenchmarkRecord, stage: str) -> None:
        _log.info("%s: %s after the %s", benchmark.name, benchmark.verdict, stage)


def judge(
    wished: Wish,
    environments: list[Environment],
    dataset: DatasetRecord,
    folder: Path,
    *,
    false_alarms: float,
    budget_seconds: float,
) -> GateRecord:
    """Base against head, the two environments. A side that fails gives a verdict, not an error.

    ``false_alarms`` is the chance that this test fails though nothing has changed. The gate's record
    lands in ``folder``.

    Raises:
        HarnessError: an environment lacks the harness or the framework, or the record cannot be written.
        KeyboardInterrupt: the user has had enough.
    """
    base, head = environments
    request = GateRequest(
        suite=Suite(file="pytest", benchmarks=(wished.benchmark,), false_alarms=false_alarms),
        base=base,
        head=head,
        datasets=[dataset],
        budget_seconds=budget_seconds,
        turns=wished.turns,
        unwatched="pytest does not tell of tests that vanished",
    )
    with own_threads_kept():
        record = Gate(request, folder, _Log()).carry_out()
    if record.status == "interrupted":
        raise KeyboardInterrupt
    if record.status == "failed":
        raise HarnessError(record.failure)
    return record


def measured_of(record: BenchmarkRecord) -> TimedPairs:
    """All pairs that the verdict rests on; none where a side failed before the first."""
    pairs = [*record.look, *record.confirmation]
    return TimedPairs(record.sides, pairs, record.turns, record.dataset, record.quality)


def verdict_sentence(gate: GateRecord) -> str:
    """By how much, how sure, and what limit; why, where that is not for a metric; and what to beware of."""
    (record,) = gate.benchmarks
    told = "; ".join(map(metric_sentence, record.metrics)) or "the same maths"
    if record.verdict != "PASS":
        told = why(record)
        for option, here in _OPTIONS.items():
            told = told.replace(option, here)
    beware = cautions(gate)
    return " ".join([f"{record.verdict}: {told}" + ("." if beware else ""), *beware])


def verdict_facts(record: BenchmarkRecord) -> dict[str, object]:
    """The verdict for ``extra_info``, with every metric; the ratio is that of the step."""
    step = next((one for one in record.metrics if one.metric == "step"), None)
    return {
        "verdict": record.verdict,
        "reason": record.reason,
        "metrics": msgspec.to_builtins(record.metrics),
        "ratio": step and step.ratio,
        "interval": None if step is None or step.low is None else [step.low, step.high],
        "p_value": step and step.p_value,
    }
