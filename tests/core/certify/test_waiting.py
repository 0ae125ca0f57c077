"""``synchronize`` must wait: planted programs whose work goes on are found, slow readings are no fault."""

import threading
import time

import numpy as np
import pytest

from harness.core.certify import waiting
from harness.core.certify.cases import cases
from harness.core.certify.waiting import observe_waiting
from harness.core.plugins import registry

WEIGHTS = {"w": np.zeros(3)}


class Steady:
    """Each step takes a millisecond, each reading half of one."""

    busy_until = 0.0

    def train(self, steps):
        time.sleep(0.001 * len(steps.indices))
        self.made = len(steps.indices)

    def synchronize(self):
        pass

    def weights(self):
        time.sleep(0.0005)
        return WEIGHTS


class WorksOn(Steady):
    def train(self, steps):
        self.busy_until = max(self.busy_until, time.monotonic()) + 0.004 * len(steps.indices)
        super().train(steps)

    def weights(self):
        time.sleep(max(0.0, self.busy_until - time.monotonic()))
        return super().weights()


class NeverWaits(WorksOn):
    def weights(self):
        time.sleep(0.0005)
        return {"w": np.full(3, self.busy_until - time.monotonic())}


class HasNoCpu(WorksOn):
    """Waits for a CPU in the first reading after each block."""

    waited = 0.0

    def weights(self):
        self.waited += max(0.0, self.busy_until - time.monotonic())
        return super().weights()


class ComputesOn(Steady):
    """Another thread of the process computes, while readings wait for its result without a CPU."""

    def __init__(self):
        self.matrix = np.ones((400, 400))
        self.waited = 0.0
        self.thread = threading.Thread(target=int)
        self.thread.start()

    def train(self, steps):
        super().train(steps)
        self.thread.join()
        self.thread = threading.Thread(target=self.compute)
        self.thread.start()

    def compute(self):
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            self.matrix @ self.matrix

    def weights(self):
        start = time.perf_counter()
        self.thread.join()
        self.waited += time.perf_counter() - start
        return super().weights()


class CompilesTheFirstReading(Steady):
    compiled = False

    def weights(self):
        time.sleep(0.0 if self.compiled else 0.2)
        self.compiled = True
        return super().weights()


def observed(monkeypatch, program):
    case = cases(registry.task("mlp"))[0]

    class Programs:
        def build_on(self, task, samples):
            return program, case.data()

    monkeypatch.setattr(waiting, "CLOCK_SAMPLES", len(case.data()))
    return observe_waiting(Programs(), case)


@pytest.mark.parametrize("program", [Steady, CompilesTheFirstReading])
def test_a_program_that_waits_passes(monkeypatch, program):
    found = observed(monkeypatch, program())
    assert (found.fault, found.explanation) == (None, "")


def test_waiting_for_a_cpu_is_no_work(monkeypatch):
    program = HasNoCpu()
    monkeypatch.setattr(waiting, "waited_seconds", lambda: program.waited)
    assert observed(monkeypatch, program).fault is None


def test_waiting_while_the_process_itself_computes_is_work(monkeypatch):
    program = ComputesOn()
    monkeypatch.setattr(waiting, "waited_seconds", lambda: program.waited)
    assert observed(monkeypatch, program).fault == "work left"


@pytest.mark.parametrize(
    ("program", "fault", "words"),
    [
        (WorksOn, "work left", "after every block the device worked on, for at least"),
        (NeverWaits, "weights change", "gives other values when it is called again"),
    ],
)
def test_work_that_goes_on_is_found(monkeypatch, program, fault, words):
    found = observed(monkeypatch, program())
    assert found.fault == fault
    assert words in found.explanation
