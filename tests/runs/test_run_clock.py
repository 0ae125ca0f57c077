"""The clock of a run: what its record says, and a plugin that patches the time of its process."""

import pytest

RUN = ("run", "--task", "mlp", "--no-certify", "--max-steps", "60", "--epochs", "1", "--quiet")


@pytest.mark.parametrize("mode", ["plain", "patched"])
@pytest.mark.slow
def test_the_worker_times_by_the_clock_that_it_had_before_plugins(harness, mode):
    done = harness(*RUN, "--backend", f"paced:{mode}")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("ok", 0), done.stdout + done.stderr
    clock = record["clock"]
    assert clock["outcome"] in {"confirmed", "not confirmed"}
    steps = sum(block["steps"] for block in record["blocks"])
    assert clock["reported_seconds"] >= steps * 0.01  # a step of paced takes 10 ms
    assert ("clock: not confirmed" in done.stdout) == (clock["outcome"] == "not confirmed")
