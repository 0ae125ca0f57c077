"""Work that a training leaves out after its first steps is found; honest work is verified."""

import pytest
from support.command import PLUGINS

SHORT = ("run", "--task", "mlp", "--no-certify", "--max-steps", "600", "--quiet")


def test_updates_that_are_left_out_after_the_first_steps_fail_the_run(harness):
    plugin = ("--plugin", str(PLUGINS / "skipping.py"), "--backend", "skipping:eager")
    record, _ = harness.recorded("failed", *SHORT, *plugin)
    assert record["verification"]["outcome"] == "differs"
    assert record["failure"]["message"].startswith("the timed work differs from its recomputation")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "keras", "jax"])
def test_honest_work_is_verified_by_another_process(harness, backend):
    record, _ = harness.recorded("ok", *SHORT, "--backend", backend)
    found = record["verification"]
    assert (found["outcome"], found["span"]["compared_steps"]) == ("verified", found["span"]["steps"])
