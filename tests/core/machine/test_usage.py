"""What processes, and other programs, use of the CPUs between two moments."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
from support.records import make_record

from harness.core.machine.cpus import allowed_cpus
from harness.core.machine.usage import Interference, Watch, disturbed, read_counters
from harness.core.runs.summary import disturbance

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the counters are those of Linux")


def test_only_bursts_are_disturbances():
    def took(*others):
        return disturbed(list(others), [0.1] * len(others))

    assert took(0.0, 0.01, 0.02, 0.0, 0.01) == [False] * 5  # the kernel counts in ticks of 10 ms
    assert took(0.0, 0.0, 0.08, 0.0, 0.01) == [False, False, True, False, False]
    assert took(0.09, 0.1, 0.09, 0.1, 0.09) == [False] * 5  # a constant load


def test_the_ticks_of_many_cpus_are_no_burst():
    """All CPUs count at the same moments: 16 busy ones are off by up to 0.16 s for a block."""
    marks = disturbed([0.0, 0.1, 0.0, 0.3, 0.0], [0.1] * 5, threads=16)
    assert marks == [False, False, False, True, False]


def test_work_of_what_our_processes_start_is_ours():
    """A worker's own children, such as loaders of data, and theirs."""
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    call = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    before = read_counters()
    process = subprocess.Popen([sys.executable, "-c", call])
    used = []
    while process.poll() is None:
        used.append(read_counters().ours - before.ours)
        time.sleep(0.02)
    assert max(used) > 0.3


def test_only_the_cpus_that_are_watched_are_counted():
    """Programs on the other CPUs of a large machine are no disturbance."""
    cpus = allowed_cpus()
    each, whole = sum(read_counters(cpus=[cpu]).busy for cpu in cpus), read_counters(cpus=cpus).busy
    assert each == pytest.approx(whole, abs=0.1 * len(cpus))
    assert read_counters(cpus=[]).busy == 0.0 < whole


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
        Interference(cpus=4, others=0.1, seconds=60.0),
        Interference(cpus=4, others=1.5, seconds=60.0),
    ],
    ids=["not measured", "quiet", "other programs"],
)
def test_a_busy_machine_is_reported_in_one_line(measured, snapshot):
    assert disturbance([make_record(interference=measured), make_record()]) == snapshot
