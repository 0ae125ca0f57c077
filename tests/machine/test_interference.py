"""The load by others during a run is measured, recorded and reported."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
from support.records import make_record

from harness.machine.usage import Interference, Watch
from harness.report.runs.record import disturbance

_SPIN = [sys.executable, "-c", "while True: pass"]
_SECONDS = 1.0


def test_work_of_others_is_separated_from_the_workers_own():
    # An orphan: what this process has started itself counts as its own.
    script = f"{shlex.join(_SPIN)} > /dev/null & echo $!"
    spinning = int(subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True, text=True).stdout)
    idle = subprocess.Popen(["sleep", "60"])
    try:
        watched, other = Watch(spinning), Watch(idle.pid)
        time.sleep(_SECONDS)
        as_own, as_others = watched.report(), other.report()
    finally:
        os.kill(spinning, signal.SIGKILL)
        idle.kill()
        idle.wait()
    # However busy the machine is: what the one calls its own, the other one calls somebody else's.
    assert as_others.others > as_own.others
    assert as_others.stolen >= 0
    assert as_own.cpus == as_others.cpus


def test_a_worker_that_has_ended_gives_no_report():
    process = subprocess.Popen(["true"])
    watch = Watch(process.pid)
    process.wait()
    assert watch.report() is None


@pytest.mark.parametrize(
    "measured",
    [
        None,
        Interference(cpus=4, others=0.1, stolen=0.0),
        Interference(cpus=4, others=1.5, stolen=0.0),
        Interference(cpus=2, others=0.0, stolen=0.4),
    ],
    ids=["not measured", "quiet", "other programs", "hypervisor"],
)
def test_a_busy_machine_is_reported_in_one_line(measured, snapshot):
    assert disturbance([make_record(interference=measured), make_record()]) == snapshot
