"""How a benchmark ends: its verdict from its results and from what ended it early."""

import math

import pytest
from support.made_gates import failed, made_benchmark, made_gate

from harness.errors import HarnessError, NoWorkersHere
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.gate.conclusion import Ended, conclude, worst_of
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import QualityResult, folded, forgiven


def raising(error):
    def work():
        raise error

    return work


def test_the_worst_verdict_counts_and_nothing_run_is_invalid():
    assert worst_of([]) == "INVALID"
    assert worst_of(["PASS", "INCONCLUSIVE"]) == "INCONCLUSIVE"
    assert worst_of(["PASS", "INCONCLUSIVE", "INVALID"]) == "INVALID"
    assert worst_of(["PASS", "INVALID", "FAIL"]) == "FAIL"


def test_an_error_of_the_harness_costs_one_benchmark_only():
    record = made_benchmark()
    assert not conclude(record, lambda: math.log(-1.0))
    (reason,) = record.reasons
    assert (record.verdict, reason.kind) == ("INVALID", "harness fault")
    assert "ValueError: " in reason.text
    assert "test_conclusion.py, line " in reason.text


@pytest.mark.parametrize(
    ("error", "verdict", "kind", "text"),
    [
        (ConfigurationFailed("base", "exit 9"), "INVALID", "failed", "base failed: exit 9"),
        (ConfigurationFailed("head", "exit 9"), "FAIL", "failed", "head failed: exit 9"),
        (HarnessError("other splits"), "FAIL", "not comparable", "other splits"),
        (NoWorkersHere("no pipes"), "INVALID", "not measured", "no pipes"),
        (Ended(Reason(kind="not measured", text="no time")), "INVALID", "not measured", "no time"),
        (Ended(Reason(kind="new benchmark", text="new")), "INCONCLUSIVE", "new benchmark", "new"),
    ],
    ids=["base failed", "head failed", "not comparable", "no workers", "ended", "new"],
)
def test_what_ends_a_benchmark_early_has_a_verdict_and_a_reason(error, verdict, kind, text):
    record = made_benchmark(verdicts={"memory": "INCONCLUSIVE"})
    assert not conclude(record, raising(error))
    (reason,) = record.reasons
    assert (record.verdict, reason.kind, reason.text) == (verdict, kind, text)


@pytest.mark.parametrize("label", ["base", "head"])
def test_a_metric_that_had_failed_stays_failed_whatever_fails_later(label):
    record = made_benchmark(confirmed=8, step=1.2, verdicts={"step": "FAIL", "memory": "INCONCLUSIVE"})
    assert not conclude(record, raising(ConfigurationFailed(label, "exited with code 9")))
    assert record.verdict == "FAIL"
    assert record.reasons == [failed("exited with code 9", label)]
    assert [reason.kind for reason in record.metrics[0].reasons] == ["proven worse"]


INCONCLUSIVE = made_benchmark(verdicts={"step": "INCONCLUSIVE"})
INVALID = made_benchmark(verdicts={"step": "INVALID"})
BEYOND = made_benchmark(verdicts={"step": "INCONCLUSIVE"})
BLOCKING = Reason(kind="undecided", text="probably worse", blocks_pass=True)
BEYOND.metrics[0].reasons.append(BLOCKING)
MISSED = made_benchmark(
    verdict="INCONCLUSIVE",
    quality=QualityResult(verdict="INCONCLUSIVE", reasons=[BLOCKING]),
)


@pytest.mark.parametrize(
    ("judged", "verdicts"),
    [
        (INCONCLUSIVE, ("PASS", "FAIL")),
        (BEYOND, ("INCONCLUSIVE", "FAIL")),
        (MISSED, ("INCONCLUSIVE", "FAIL")),
        (INVALID, ("INVALID", "INVALID")),
        (made_benchmark(verdicts={"step": "FAIL"}), ("FAIL", "FAIL")),
    ],
    ids=["inconclusive", "beyond the limit", "target missed", "invalid", "failed"],
)
def test_inconclusive_alone_is_folded_and_into_pass_only_if_nothing_speaks_against_head(judged, verdicts):
    gate = made_gate(made_benchmark("passed"), judged)
    assert folded(gate, None) == judged.verdict
    assert (folded(gate, "pass"), folded(gate, "fail")) == verdicts
    assert forgiven(judged, "pass") is (verdicts[0] == "PASS")
    assert not forgiven(judged, "fail")


def test_a_gate_that_did_not_end_is_never_folded_into_pass():
    gate = made_gate(INCONCLUSIVE, status="interrupted")
    assert folded(gate, "pass") == "INCONCLUSIVE"
