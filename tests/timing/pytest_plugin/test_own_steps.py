"""``harness_benchmark.step``, and callables that a gate compares in another environment."""

import pytest
from support.planted_repository import plant
from support.plugin_suite import SELF, saved

pytest_plugins = ["pytester"]

STEPS = """
import os

RATE = float(os.environ.get("RATE", "0.1"))

def make_step(size=2000):
    state = {"value": 1.0}
    def step():
        state["value"] *= 1 - RATE
        return state["value"] + sum(range(size)) * 0
    return step

def pi_of(count):
    return sum((-1) ** k * 4 / (2 * k + 1) for k in range(count))

def test_step(harness_benchmark):
    harness_benchmark.step(make_step, arguments={"size": 3000}, samples=10, turns=2, pairs=1, threads=1)

def test_call(harness_benchmark):
    harness_benchmark(pi_of, 2000)

def test_local(harness_benchmark):
    harness_benchmark.step(lambda: make_step())
"""


@pytest.mark.slow
def test_a_step_is_timed_in_fresh_processes(suite):
    done = suite("--benchmark-json=one.json", "-k", "test_step or test_local", test_own=STEPS)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*is not a function at the top level of a module*"])
    step = saved("one.json")["test_step"]
    assert len(step["stats"]["data"]) == 1
    assert (step["extra_info"]["task"], step["extra_info"]["batch_size"]) == ("test_own.py:make_step", 10)


@pytest.mark.long
def test_steps_and_callables_are_gated(suite):
    gate = (SELF, "--harness-gate", "--harness-budget=1", "--harness-inconclusive=pass")
    done = suite(*gate, "-k", "test_step or test_call", test_own=STEPS)
    done.stdout.fnmatch_lines(["*test_own.py::test_step: *", "*test_own.py::test_call: *"])


@pytest.mark.long
def test_a_step_of_a_planted_repository_is_gated(suite, pytester):
    plant(pytester.path)
    gate = (
        "--harness-base=base",
        "--harness-gate",
        "--harness-budget=30",
        "--harness-inconclusive=pass",
        "--benchmark-json=one.json",
    )
    suite(*gate, "test_speed.py").assert_outcomes(passed=1)
    assert saved("one.json")["test_speed"]["extra_info"]["task"] == "bench.py:make_step"
