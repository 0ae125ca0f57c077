"""Bursts of other programs are told apart from a constant load and from the error of ticks."""

import subprocess
import sys
import time

import pytest
from support.made_pairs import CALM

from harness.machine.cpus import allowed_cpus
from harness.machine.usage import Disturbance, disturbed, read_counters


def test_only_bursts_are_disturbances():
    def took(*others):
        return disturbed([Disturbance(0.0, each, 0.0, 0) for each in others], [0.1] * len(others))

    assert took(0.0, 0.01, 0.02, 0.0, 0.01) == [False] * 5  # the kernel counts in ticks of 10 ms
    assert took(0.0, 0.0, 0.08, 0.0, 0.01) == [False, False, True, False, False]
    assert took(0.09, 0.1, 0.09, 0.1, 0.09) == [False] * 5  # a constant load
    hot = Disturbance(0.0, 0.0, 0.0, 2)
    assert disturbed([CALM, hot, CALM], [0.1] * 3) == [False, True, False]
    always = [Disturbance(0.0, 0.0, 0.0, count) for count in (3, 1, 7, 2, 30)]
    assert disturbed(always, [0.1] * 5) == [False] * 5  # a machine that is always hot


def test_the_ticks_of_many_cpus_are_no_burst():
    """All CPUs count at the same moments: 16 busy ones are off by up to 0.16 s for a block."""
    some, burst = Disturbance(0.0, 0.1, 0.0, 0), Disturbance(0.0, 0.3, 0.0, 0)
    marks = disturbed([CALM, some, CALM, burst, CALM], [0.1] * 5, threads=16)
    assert marks == [False, False, False, True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="counted only on Linux")
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


@pytest.mark.skipif(sys.platform != "linux", reason="counted only on Linux")
def test_only_the_cpus_that_are_watched_are_counted():
    """Programs on the other CPUs of a large machine are no disturbance."""
    cpus = allowed_cpus()
    each, whole = sum(read_counters(cpus=[cpu]).busy for cpu in cpus), read_counters(cpus=cpus).busy
    assert each == pytest.approx(whole, abs=0.1 * len(cpus))
    assert read_counters(cpus=[]).busy == 0.0 < whole
