"""``--threads 1`` holds for every framework: CPU time does not exceed the time of a training block."""

import os
import time

import psutil
import pytest

from harness.core.machine.cpus import allowed_cpus
from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins import registry
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session
from harness.spec.backend import Plan

#: Rounding of the two clocks; a second thread at work would show as a ratio near 2.
_ROUNDING = 1.15

pytestmark = pytest.mark.all_cpus


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(allowed_cpus()) == 1, reason="needs two CPUs, and Linux"
)
@pytest.mark.parametrize(
    "name",
    [
        *("torch", "keras", "jax"),
        *(pytest.param(f"keras-{each}", marks=pytest.mark.long) for each in ("torch", "jax")),
    ],
)
def test_one_thread_uses_one_cpu(name):
    task = registry.task("cnn").define(registry.task("cnn").options())
    mode = registry.backend(name).modes[0]
    plan = Plan(task=task, mode=mode, device="cpu", threads=1, seed=0)
    with Session(worker_variables(1, "cpu", os.environ), 200) as session:
        Conversation(session, name, 1).build(plan, "digits")
        session.call(protocol.Train(1), protocol.Trained)
        worker = psutil.Process(session.process.pid)
        start, used = time.monotonic(), sum(worker.cpu_times()[:2])
        session.call(protocol.Train(15), protocol.Trained)
        wall, used = time.monotonic() - start, sum(worker.cpu_times()[:2]) - used
    assert used <= _ROUNDING * wall
