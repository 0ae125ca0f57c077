"""``harness_benchmark`` as users run it: samples, tables and files, on a backend with known step times."""

import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.pages import blocks
from support.plugin_suite import CALL, SELF, STEP, interpreter, saved, workers
from threadpoolctl import threadpool_info

from harness.core.machine.calibration import Control
from harness.timing.pytest_plugin.calls import time_calls
from harness.timing.pytest_plugin.training import own_threads_kept

pytest_plugins = ["pytester"]


@pytest.mark.slow
def test_samples_are_saved_compared_and_drawn_by_pytest_benchmark(suite, pytester, monkeypatch):
    monkeypatch.setenv("PACED_CLOCK", str(pytester.path / "clock-of-steps"))
    first = suite(
        "--benchmark-autosave",
        "--benchmark-json=one.json",
        "--benchmark-histogram=drawn",
        test_step=STEP,
        test_call=CALL,
    )
    first.assert_outcomes(passed=2)
    each = saved("one.json")
    step, call = each["test_step"], each["test_call"]
    assert len(step["stats"]["data"]) == 2
    # On a busy machine a sleep takes longer, by the clock beside it, too.
    for name, samples, least in (("steps", step, 0.0099), ("calls", call, 0.02)):
        data = samples["stats"]["data"]
        assert min(data) >= least
        clock = [float(each) for each in Path(f"clock-of-{name}").read_text().split()]
        assert min(data) < 1.5 * statistics.median(clock)
    assert call["extra_info"]["block_calls"] >= 3
    info = step["extra_info"]
    names = [info[name] for name in ("backend", "mode", "task", "dataset")]
    assert names == ["paced", "plain", "mlp", "mnist1d"]
    assert info["framework"]["engine"] == "numpy"
    assert info["block_steps"] >= 3
    assert info["certificate"] is None
    assert info["peak_memory_bytes"] > 2**20
    assert list(pytester.path.glob("drawn*.svg"))

    monkeypatch.setenv("PACED_FACTOR", "1.3")
    second = suite(
        "--benchmark-save=two", "--benchmark-compare", "--benchmark-compare-fail=median:10%",
        "--benchmark-group-by=func", "-k", "step",
    )  # fmt: skip
    assert second.ret != 0
    second.stderr.fnmatch_lines(["*test_step*median*"])
    second.stdout.fnmatch_lines(["*benchmark 'test_step': 2 tests*"])

    command = [sys.executable, "-m", "pytest_benchmark", "compare", "--columns=median,rounds", "--csv=both"]
    compared = subprocess.run(command, capture_output=True, text=True, check=True)
    assert compared.stdout.count("test_step") == 2
    rows = Path("both.csv").read_text().splitlines()
    medians = sorted(float(row.split(",")[1]) for row in rows[1:] if "test_step" in row)
    assert medians[1] > 1.1 * medians[0]


@pytest.mark.long
def test_a_step_of_torch_is_certified(suite):
    test = """
def test_step(harness_benchmark):
    harness_benchmark("torch", "mlp", threads=1, pairs=1, turns=2, set={"width": 0.5}, batch_size=50)
"""
    suite("--benchmark-json=one.json", test_torch=test).assert_outcomes(passed=1)
    info = saved("one.json")["test_step"]["extra_info"]
    assert info["certificate"]["certified"]
    assert info["framework"]["torch"]
    assert (info["options"]["width"], info["batch_size"], info["threads"]) == (0.5, 50, 1)


@pytest.mark.long
def test_base_and_head_alternate_and_the_samples_are_those_of_head(suite, pytester):
    head = interpreter(pytester.path / "head-python", PACED_FACTOR="1.2")
    done = suite(SELF, f"--harness-head-python={head}", "--benchmark-json=one.json", test_step=STEP)
    done.assert_outcomes(passed=1)
    step = saved("one.json")["test_step"]
    assert step["stats"]["median"] == pytest.approx(0.012, rel=0.08)
    assert step["extra_info"]["base"]["step_seconds"] == pytest.approx(0.01, rel=0.08)
    assert step["extra_info"]["ratio"]["value"] == pytest.approx(1.2, abs=0.08)
    done.stdout.fnmatch_lines(
        ["*= harness =*", "test_step.py::test_step: head is probably slower than base: +*"]
    )


def test_a_call_is_timed_without_tracer_and_profiler():
    """As in pytest-benchmark: coverage would take most of the time."""
    seen = set()
    before = sys.gettrace(), sys.getprofile()

    def tracer(*_):
        return None

    sys.settrace(tracer)
    sys.setprofile(tracer)
    try:
        time_calls(lambda: seen.add((sys.gettrace(), sys.getprofile())) or time.sleep(0.01), 2)
        after = sys.gettrace(), sys.getprofile()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    assert seen == {(None, None), (tracer, tracer)}  # the traced call is for coverage
    assert after == (tracer, tracer)


@pytest.mark.long
def test_a_backend_that_dies_fails_with_its_last_words(suite, pytester):
    test = """
def test_dies(harness_benchmark):
    harness_benchmark("paced", "mlp", mode="dies", certify=False)
"""
    done = suite("--junitxml=junit.xml", test_dies=test)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["paced:dies: the worker process exited with code 9 [[]the last words[]]"])
    failure = ElementTree.parse("junit.xml").find(".//failure")  # noqa: S314  pytest's own
    assert "the last words" in failure.get("message")
    assert not workers(pytester)


def test_ctrl_c_leaves_no_worker(suite, pytester):
    pytester.makepyfile(test_step=STEP)
    process = subprocess.Popen([sys.executable, "-m", "pytest"], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not workers(pytester) and time.monotonic() < until:
        time.sleep(0.05)
    assert workers(pytester)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert not workers(pytester)


@pytest.mark.slow
def test_disabled_benchmarks_run_once_and_are_counted(suite):
    done = suite("--benchmark-disable", SELF, test_step=STEP, test_call=CALL)
    done.stdout.fnmatch_lines([f"harness: base and head are the same ({sys.executable})*"])
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["2 of 2 benchmarks ran once and were not timed: --benchmark-disable"])
    assert "Median" not in done.stdout.str()


@pytest.mark.slow
def test_the_documented_example_runs(suite):
    (example,) = [block.text for block in blocks("docs/how-to/benchmark-in-pytest.md", "python")]
    suite("--benchmark-disable", test_readme=example).assert_outcomes(passed=2)


def test_under_xdist_nothing_is_timed_and_the_reason_is_shown(suite):
    done = suite("-n", "2", "-W", "default", test_call=CALL)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(
        ["1 of 1 benchmarks ran once and were not timed: xdist runs tests in parallel*"]
    )


@pytest.mark.slow
def test_the_selection_options_of_pytest_benchmark_apply(suite):
    plain = "def test_plain():\n    pass\n"
    only = suite("--benchmark-only", test_call=CALL, test_plain=plain)
    only.assert_outcomes(passed=1, skipped=1)
    suite("--benchmark-skip").assert_outcomes(passed=1, skipped=1)
    suite("-k", "plain").assert_outcomes(passed=1, deselected=1)


def test_a_rerun_replaces_the_saved_samples(suite):
    test = """
import time

attempts = []

def test_call(harness_benchmark):
    attempts.append(0.02 if attempts else 0.04)
    harness_benchmark(time.sleep, attempts[-1], turns=2)
    assert len(attempts) == 2
"""
    done = suite("--reruns", "1", "--benchmark-json=one.json", test_call=test)
    done.assert_outcomes(passed=1)
    assert "1 rerun" in done.stdout.str()
    (call,) = json.loads(Path("one.json").read_text())["benchmarks"]
    assert 0.02 <= call["stats"]["median"] < 0.038


def test_threads_of_numpy_are_restored_after_a_measurement():
    def threads():
        # Earlier tests may have imported libraries with OpenMP threads into this process.
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    before = threads()
    with own_threads_kept():
        Control()
        assert set(threads()) == {1}
    assert threads() == before
