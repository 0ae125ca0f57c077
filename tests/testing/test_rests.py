"""Work in rests is found by its CPU time; threads that spin before they sleep are not accused."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from harness.testing.rests import Rests
from harness.worker.timed_session import TimedReadings


class Program:
    """After a call it keeps so many CPUs busy, each for so long."""

    def __init__(self, threads=1, cpus=0.0, seconds=1e9):
        self.threads = threads
        self.cpus, self.seconds = cpus, seconds
        self.rested = 0.0

    def call(self):
        self.rested = 0.0

    def rest(self, seconds):
        busy = max(0.0, min(seconds, self.seconds - self.rested))
        self.rested += seconds
        return self.cpus * busy / seconds if seconds else 0.0


def rested(program, times=3):
    rests = Rests(program)
    for _ in range(times):
        program.call()
        rests.add()
    return rests


@pytest.mark.parametrize(
    "program",
    [Program(cpus=1.0), Program(cpus=0.3), Program(cpus=1.0, seconds=0.03), Program(4, 1.0), Program(2, 1.9)],
    ids=["one thread", "on a busy machine", "until little is left", "of several", "beside a pool that spins"],
)
def test_a_program_that_works_is_found(program):
    assert rested(program).working_share > 0.2


@pytest.mark.parametrize(
    "program",
    [Program(), Program(cpus=1.0, seconds=0.008), Program(2, 1.0, 0.2), Program(16, 15.0, 0.2)],
    ids=["idle", "short", "spinning", "spinning pool"],
)
def test_an_idle_program_is_not_accused(program):
    assert rested(program, 10).working_share is None


def test_work_in_a_single_rest_proves_nothing():
    program = Program(cpus=1.0)
    rests = rested(program, 1)
    assert rests.working_share is None
    program.cpus = 0.0
    for _ in range(9):
        rests.add()
    assert rests.working_share is None


@pytest.mark.skipif(sys.platform != "linux", reason="measured only on Linux")
@pytest.mark.parametrize(("code", "works"), [("while True: pass", True), ("time.sleep(60)", False)])
def test_a_rest_measures_the_cpu_time_of_all_threads_of_a_worker(code, works):
    """The main thread of a worker waits; what works in rests is another."""
    thread = f"def work():\n    {code}\nthreading.Thread(target=work, daemon=True).start()"
    script = f"import threading, time\n{thread}\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            session = SimpleNamespace(process=SimpleNamespace(pid=process.pid))
            assert (TimedReadings(session, 1).rest(0.5) > 0.02) == works
        finally:
            process.kill()
