"""Backends that flood, crash or detach: each run has its reason, nothing else is harmed, nothing is left."""

import signal

import pytest
from support.processes import ended, processes_of, wait_until

DIGITS = ("run", "--task", "cnn", "--dataset", "digits", "--epochs", "2", "--quiet", "--no-certify")
#: Mode, status, and what the reason must contain.
FAULTS = {
    "segfault": ("failed", "killed by SIGSEGV in train()"),
    "exit-0": ("failed", "the worker process exited with code 0"),
    "surrogate": ("failed", "RuntimeError: caf\\udce9 is closed (hostile.py, line"),
    "unprintable": ("failed", "Unprintable: its __str__ raised ValueError (hostile.py, line"),
    "long-error": ("failed", "[... 4,996,009 characters left out ...]"),
    "flood-reply": ("failed", "the worker was killed because its reply was longer than 64 MiB"),
    "flood-output": ("ok", ""),
    "detach": ("ok", ""),
}


@pytest.mark.slow
def test_every_fault_has_its_reason_and_leaves_nothing(harness):
    backends = ",".join(f"hostile:{mode}" for mode in FAULTS)
    done = harness(*DIGITS, "--backend", backends, "--timeout", "120")

    records = {record["configuration"]["mode"]: record for record in harness.records()}
    assert {mode: record["status"] for mode, record in records.items()} == {
        mode: status for mode, (status, _) in FAULTS.items()
    }
    for mode, (_, reason) in FAULTS.items():
        assert reason in ((records[mode]["failure"] or {}).get("message", "")), mode
    assert (
        max(len(record["failure"]["traceback"]) for record in records.values() if record["failure"]) < 21_000
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert processes_of(harness) == []


@pytest.mark.slow
def test_a_reply_that_never_ends_is_ended_at_the_time_limit(harness):
    words = ("--backend", "hostile:trickle-reply", "--timeout", "4")
    _, done = harness.recorded("timeout", *DIGITS, *words)
    assert "time limit of 4 s" in done.stdout


@pytest.mark.slow
def test_a_detached_process_ends_with_a_killed_harness(harness):
    hanging = (*DIGITS, "--backend", "hostile:detach-and-hang")
    ended(harness, *hanging, when=lambda: processes_of(harness, "1000"), by=signal.SIGKILL)
    wait_until(lambda: processes_of(harness) == [])
