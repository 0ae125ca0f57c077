"""Gates of steps of the user's own: suites, values before times, checkouts, claimed savings."""

import json
import math

import numpy as np
import pytest
from support.repository import add_commit

from harness.errors import UsageError
from harness.timing.engine.ratios import Ratios
from harness.timing.environments.suite import Limits
from harness.timing.environments.suite_file import benchmark_of, read_suite
from harness.timing.gate.judgement import confirmed, looked_at
from harness.timing.gate.metrics import PairedSeries, limits_of

STEP = """
import model
def make_step(size=2000):
    state = {"value": 1.0}
    def step():
        state["value"] *= 1 - model.RATE
        for _ in range(size * model.COST):
            pass
        return state["value"]
    return step
"""
SUITE = '[benchmarks.train]\nstep = "bench.py:make_step"\nwith = { size = 2000 }\nthreads = 1\n'


@pytest.fixture
def repository(harness):
    """A plain repository, committed: a step, the code that it imports, and a suite."""
    files = {"bench.py": STEP, "model.py": "RATE, COST = 0.01, 1\n", "gate.toml": SUITE}
    add_commit(harness.folder, files | {".gitignore": "results/\n__pycache__/\n"})
    return harness.folder


def gated(harness, code, *options, base=("--base", "HEAD")):
    """The only benchmark of a gate that ends with this exit code, and what the command printed."""
    done = harness("gate", *base, "--turns", "2", "--format", "json", *options)
    assert done.returncode == code, done.stdout + done.stderr
    record = json.loads(done.stdout)
    return record["benchmarks"][0], record


def step_of(benchmark):
    (result,) = (result for result in benchmark["metrics"] if result["metric"] == "step")
    return result


def test_other_values_fail_before_anything_is_timed(harness, repository):
    (repository / "model.py").write_text("RATE, COST = 0.011, 1\n")
    benchmark, _ = gated(harness, 1)
    assert (benchmark["verdict"], benchmark["look"]) == ("FAIL", [])
    (reason,) = benchmark["quality"]["reasons"]
    assert reason["kind"] == "values differ"
    assert benchmark["quality"]["values"]["deviations"][0] == pytest.approx(1e-3, rel=0.1)


@pytest.mark.slow
def test_each_side_runs_its_own_file(harness, repository):
    (repository / "bench.py").write_text(STEP.replace("1.0}", "2.0}"))
    own, record = gated(harness, 1)
    assert own["quality"]["reasons"][0]["kind"] == "values differ"
    (caution,) = record["base"]["cautions"]
    assert caution.startswith("head changes bench.py, and each side runs its own")


@pytest.mark.long
def test_a_twofold_cost_fails_and_shows_the_ratio(harness, repository):
    (repository / "model.py").write_text("RATE, COST = 0.01, 4\n")
    benchmark, _ = gated(harness, 1)
    assert (step_of(benchmark)["verdict"], step_of(benchmark)["pairs"]) == ("FAIL", 4)


@pytest.mark.long
def test_a_claimed_saving_is_verified(harness, repository):
    add_commit(repository, {"model.py": "RATE, COST = 0.01, 4\n"})
    (repository / "model.py").write_text("RATE, COST = 0.01, 1\n")
    benchmark, record = gated(harness, 0, "--expect-faster", "10%")
    assert step_of(benchmark)["verdict"] == "PASS"
    assert "saves ≥ 10 %" in harness.ok("show", record["id"]).stdout


def test_a_step_that_base_lacks_is_new(harness, repository):
    (repository / "other.py").write_text("from model import NEW\ndef make():\n    return lambda: NEW\n")
    (repository / "model.py").write_text("RATE, COST, NEW = 0.01, 1, 2.0\n")
    for name in ("gate.toml", "suite.toml"):
        (repository / name).write_text('[benchmarks.other]\nstep = "other.py:make"\n')
    suites = ("--suite", "suite.toml", "--base-suite", "suite.toml")
    benchmark, record = gated(harness, 0, *suites)
    assert (benchmark["verdict"], benchmark["look"]) == ("PASS", [])
    text = harness.ok("show", record["id"]).stdout
    assert ("other.py" in text, "no such step" in text) == (True, True)


def test_a_head_that_hangs_fails_within_the_timeout(harness, repository):
    (repository / "bench.py").write_text("import time\ndef make_step(size):\n    time.sleep(12346)\n")
    (repository / "gate.toml").write_text(SUITE + 'timeout = "1s"\n')
    benchmark, record = gated(harness, 1, "--base-suite", "gate.toml")
    (reason,) = benchmark["reasons"]
    assert (reason["kind"], reason["command"]) == ("failed", "run head")
    assert "within 1 s" in reason["text"]
    assert "--timeout 1s" in harness.ok("show", record["id"]).stdout  # of the command that runs head alone


def test_wrong_input_is_no_fail(harness, repository, snapshot):
    (repository / "gate.toml").write_text(SUITE.replace("size", "sise"))
    done = harness("gate", "--base", "HEAD", "--base-suite", "gate.toml", "--quiet")
    assert (done.returncode, done.stderr) == (2, snapshot)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"step": "bench.py"}, "FILE.py:CALLABLE"),
        ({"step": "bench.py:make", "backend": "torch"}, "backend is not for a step of your own"),
        ({"backend": "torch", "task": "cnn", "samples": 3}, "samples is not for a task"),
        ({"backend": "torch"}, "lacks task, or step"),
        ({"backend": "torch", "task": "cnn", "seed": "own"}, "is for steps of your own"),
        ({"step": "bench.py:make", "values": "maybe"}, "values"),
        ({"step": "bench.py:make", "timeout": "soon"}, "timeout = 'soon' is not a duration"),
        ({"backend": "torch", "task": "cnn", "timeout": "3s"}, "timeout is not for a task"),
    ],
)
def test_a_table_of_neither_kind_is_refused(table, text):
    with pytest.raises(UsageError, match=text):
        benchmark_of("a", table, {}, "gate.toml: benchmark a")


def test_a_suite_of_steps_needs_no_environment(tmp_path):
    path = tmp_path / "gate.toml"
    path.write_text(SUITE + 'seed = "own"\ntolerance = 1e-3\ncompare_calls = 5\nmin_speedup = "10%"\n')
    suite = read_suite(path)
    (benchmark,) = suite.benchmarks
    assert not suite.has_tasks
    assert (benchmark.arguments, benchmark.seed, benchmark.tolerance) == ({"size": 2000}, "own", 1e-3)
    assert limits_of(benchmark.limits)["step"] == -0.1


def series(ratio, spread=0.01, pairs=12):
    logs = math.log(ratio) + np.random.default_rng(1).normal(0, spread, pairs)
    return PairedSeries("step", -0.1, Ratios(logs), np.zeros(0), 0, 1.0, 1.0)


def test_a_saving_passes_where_it_is_proven_and_fails_where_less_is():
    assert looked_at(series(0.8, pairs=4), None).verdict == "PASS"
    assert looked_at(series(0.9, pairs=4), None).verdict == "INCONCLUSIVE"
    assert confirmed(series(0.8), None, 0.01, last=False).verdict == "PASS"
    assert confirmed(series(1.0), None, 0.01, last=False).verdict == "FAIL"
    assert confirmed(series(0.97), None, 0.01, last=True).verdict == "FAIL"
    assert confirmed(series(0.9), None, 0.01, last=True).verdict == "INCONCLUSIVE"
    assert Limits().min_speedup is None
