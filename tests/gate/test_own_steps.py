"""Gates of steps of the user's own: suites, values before times, checkouts, claimed savings."""

import math
import subprocess

import numpy as np
import pytest

from harness.duel.ratios import Ratios
from harness.errors import UsageError
from harness.gate.judgement import PairedSeries, confirmed, limits_of, looked_at
from harness.gate.suite import Limits, benchmark_of, read_suite

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
    folder = harness.folder
    (folder / "bench.py").write_text(STEP)
    (folder / "model.py").write_text("RATE, COST = 0.01, 1\n")
    (folder / "gate.toml").write_text(SUITE)
    (folder / ".gitignore").write_text("results/\n__pycache__/\n")

    def commit():
        subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
        own = ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "one"]
        subprocess.run(["git", *own], cwd=folder, check=True)

    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    commit()
    return folder, commit


def gated(harness, *options):
    return harness("gate", "--base", "HEAD", "--turns", "2", *options)


def test_other_values_fail_before_anything_is_timed(harness, repository):
    folder, _ = repository
    (folder / "model.py").write_text("RATE, COST = 0.011, 1\n")
    done = gated(harness)
    assert done.returncode == 1, done.stderr
    assert "train: FAIL: the values differ from call 1 on, by 1.0e-03" in done.stdout
    assert "FAIL after 0 pairs" in done.stderr


def test_a_twofold_cost_fails_and_shows_the_ratio(harness, repository):
    folder, _ = repository
    (folder / "model.py").write_text("RATE, COST = 0.01, 4\n")
    done = gated(harness)
    assert done.returncode == 1, done.stderr
    assert "head is proven worse than base" in done.stdout
    assert "slower" in done.stdout
    assert "after 4 pairs" in done.stderr


def test_a_claimed_saving_is_verified(harness, repository):
    folder, commit = repository
    (folder / "model.py").write_text("RATE, COST = 0.01, 4\n")
    commit()
    (folder / "model.py").write_text("RATE, COST = 0.01, 1\n")
    done = gated(harness, "--expect-faster", "10%")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "saves ≥ 10 %" in done.stdout


def test_a_step_that_base_lacks_is_new(harness, repository):
    folder, _ = repository
    (folder / "other.py").write_text("from model import NEW\ndef make():\n    return lambda: NEW\n")
    (folder / "model.py").write_text("RATE, COST, NEW = 0.01, 1, 2.0\n")
    (folder / "gate.toml").write_text('[benchmarks.other]\nstep = "other.py:make"\n')
    (folder / "suite.toml").write_text('[benchmarks.other]\nstep = "other.py:make"\n')
    done = harness("gate", "--base", "HEAD", "--suite", "suite.toml", "--base-suite", "suite.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "base has no other.py: head's is used" in done.stdout
    assert "base has no such step and cannot run head's" in done.stdout


def test_what_both_sides_import_alike_is_said(harness, repository):
    folder, commit = repository
    (folder / "bench.py").write_text("def make_step():\n    return lambda: 1.0\n")
    (folder / "gate.toml").write_text(
        'max_slowdown = "off"\nmax_first_step_slowdown = "off"\nmax_memory_growth = "off"\n'
        '[benchmarks.train]\nstep = "bench.py:make_step"\n'
    )
    commit()
    done = gated(harness)
    assert done.returncode == 0, done.stderr
    assert "only the file of the step is taken from each checkout" in " ".join(done.stdout.split())


def test_a_head_that_hangs_fails_within_the_timeout(harness, repository):
    folder, _ = repository
    (folder / "bench.py").write_text("import time\ndef make_step(size):\n    time.sleep(12346)\n")
    (folder / "gate.toml").write_text(SUITE + 'timeout = "1s"\n')
    done = harness("gate", "--base", "HEAD", "--base-suite", "gate.toml")
    assert done.returncode == 1, done.stderr
    text = " ".join(done.stdout.split())
    assert "head failed: the factory did not return within 1 s, and its process was killed" in text
    assert "--timeout 1s" in text  # of the command that runs head alone


def test_wrong_input_is_no_fail(harness, repository):
    folder, _ = repository
    (folder / "gate.toml").write_text(SUITE.replace("size", "sise"))
    done = harness("gate", "--base", "HEAD", "--base-suite", "gate.toml")
    assert done.returncode == 2
    assert "unexpected keyword argument 'sise'; it takes size=2000" in done.stderr


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
