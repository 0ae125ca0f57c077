"""What a process and its children use of the CPUs between two moments, children that end included."""

import subprocess
import sys
import time

import pytest

from harness.machine.cpus import allowed_cpus
from harness.machine.usage import UsageMeter

SPIN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the counters are those of Linux")


def test_what_a_child_used_counts_once_it_has_ended_too():
    script = f"{sys.executable} -c '{SPIN}'; echo done; exec sleep 60"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        meter = UsageMeter(process.pid, allowed_cpus())
        process.stdout.readline()
        usage = meter.end()
        meter.begin()
        later = meter.end()
        process.kill()
    assert 0.28 <= usage.own <= 0.6  # Python's start-up included
    assert later.own == pytest.approx(0.0, abs=0.02)


def test_an_idle_process_uses_nothing():
    process = subprocess.Popen(["sleep", "60"])
    try:
        meter = UsageMeter(process.pid, allowed_cpus())
        time.sleep(0.3)
        assert meter.end().own == pytest.approx(0.0, abs=0.02)
    finally:
        process.kill()
        process.wait()
