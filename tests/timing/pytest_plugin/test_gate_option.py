"""``--harness-gate``: the verdict of each test, and what never passes."""

import json
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from support.made_gates import BASE, made_benchmark, made_gate
from support.plugin_suite import CALL, DYING, SELF, STEP, interpreter, saved, workers

from harness.timing.gate import reasons
from harness.timing.pytest_plugin.gate import failure_text, verdict_text

pytest_plugins = ["pytester"]


LIMITED = """
def test_step(harness_benchmark):
    harness_benchmark("paced", "mlp", turns=2, max_slowdown="15%", max_memory_growth="off")
"""
#: A gate whose verdict takes no pairs.
MADE_UP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from support.made_gates import made_benchmark, made_gate
from harness.timing.pytest_plugin import gate

def made_up(request, environments, *arguments, **options):
    print("BASE", environments[0].python)
    return made_gate(made_benchmark(confirmed=5))

gate.run_gate = made_up
"""


def test_a_passed_gate_is_shown_with_its_evidence(suite, pytester):
    pytester.makeconftest(MADE_UP)
    done = suite(SELF, "--harness-gate", "--benchmark-json=one.json", test_step=LIMITED)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["test_step.py::test_step: PASS: step *, limit 5 % (5 pairs*"])
    step = saved("one.json")["test_step"]
    assert (step["extra_info"]["verdict"], step["extra_info"]["metrics"][0]["pairs"]) == ("PASS", 5)
    ratio = step["extra_info"]["ratio"]
    assert ratio["low"] <= ratio["value"] <= ratio["high"]
    assert len(step["stats"]["data"]) == 8


def test_a_benchmark_with_a_verdict_is_not_compared_again(suite, pytester):
    pytester.makeconftest(MADE_UP)
    suite(SELF, "--harness-gate", "--benchmark-autosave", test_step=STEP).assert_outcomes(passed=1)
    (stored,) = pytester.path.glob(".benchmarks/*/*.json")
    document = json.loads(stored.read_text())
    document["benchmarks"][0]["stats"]["median"] /= 10
    stored.write_text(json.dumps(document))
    gated = suite(SELF, "--harness-gate", "--benchmark-compare", "--benchmark-compare-fail=median:5%")
    gated.assert_outcomes(passed=1)
    assert gated.ret == pytest.ExitCode.OK


def test_cautions_follow_the_verdict():
    shared = "PYTHONPATH=src applies to base and head: its code is the same for both"
    base = msgspec.structs.replace(BASE, cautions=[shared])
    text = verdict_text(made_gate(made_benchmark(), base=base))
    assert text.startswith("PASS: step ")
    assert f". {shared}." in text


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (reasons.BudgetSpent(), "Give the gate more time (--harness-budget)."),
        (
            reasons.ProcessTooLong(seconds=2000, limit_seconds=1800, turns=60),
            "Set fewer turns (turns=).",
        ),
    ],
)
def test_advice_names_the_options_of_pytest(reason, advice):
    invalid = made_benchmark(metrics=[], quality=None, verdict="INVALID", reasons=[reason])
    assert failure_text(made_gate(invalid)).splitlines()[1:] == [advice]


@pytest.mark.slow
def test_a_regressed_callable_fails_without_a_terminal_summary(suite, pytester):
    suite("--benchmark-autosave", test_call=CALL).assert_outcomes(passed=1)
    (stored,) = pytester.path.glob(".benchmarks/*/*.json")
    document = json.loads(stored.read_text())
    rule = ("--benchmark-compare", "--benchmark-compare-fail=median:50%", "-p", "no:terminal")
    assert suite(SELF, "--harness-gate", *rule).ret == pytest.ExitCode.OK
    document["benchmarks"][0]["stats"]["median"] /= 10
    stored.write_text(json.dumps(document))
    assert suite(SELF, "--harness-gate", *rule).ret == pytest.ExitCode.TESTS_FAILED


def test_a_relative_interpreter_is_resolved_where_pytest_was_started(suite, pytester):
    pytester.makeconftest(MADE_UP)
    base = interpreter(pytester.path / "base-python")
    elsewhere = f"import os\n{STEP}".replace("    harness", "    os.chdir('..')\n    harness")
    done = suite("--harness-base-python=./base-python", "--harness-gate", "-s", test_step=elsewhere)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines([f"*BASE {base}"])


@pytest.mark.long
def test_a_regression_fails_with_its_size_and_evidence(suite, pytester):
    head = interpreter(pytester.path / "head-python", PACED_FACTOR="1.25")
    arguments = (SELF, f"--harness-head-python={head}", "--harness-gate", "--benchmark-json=one.json")
    done = suite(*arguments, "--junitxml=junit.xml", test_step=LIMITED)
    done.assert_outcomes(failed=1)
    verdict = "FAIL: step +2?.? % [[]*[]], limit 15 % (* pairs*p = *): head is proven worse than base*"
    done.stdout.fnmatch_lines([verdict, "If intended, raise max_slowdown.*", "*harness duel*"])
    done.stdout.fnmatch_lines([f"test_step.py::test_step: {verdict}"])
    failure = ElementTree.parse("junit.xml").find(".//failure")  # noqa: S314  pytest's own
    assert "limit 15 %" in failure.get("message")
    step = saved("one.json")["test_step"]
    assert step["extra_info"]["verdict"] == "FAIL"
    assert step["extra_info"]["ratio"]["value"] == pytest.approx(1.25, abs=0.03)
    assert len(step["stats"]["data"]) >= 4  # of the look and of the confirmation


@pytest.mark.slow
def test_a_base_that_dies_never_passes(suite, pytester):
    base = interpreter(pytester.path / "base-python", PACED_FAILS_WHEN="/")
    head = interpreter(pytester.path / "head-python", PACED_FAILS_WHEN="/never")
    arguments = (f"--harness-base-python={base}", f"--harness-head-python={head}", "--harness-gate")
    done = suite(*arguments, "--harness-inconclusive=pass", test_step=DYING)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["test_step.py::test_step: INVALID: base failed: *the last words*"])


@pytest.mark.long
def test_a_head_that_dies_fails_the_gate(suite, pytester):
    base = interpreter(pytester.path / "base-python", PACED_FAILS_WHEN="/never")
    done = suite(f"--harness-base-python={base}", "--harness-gate", test_step=DYING)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["test_step.py::test_step: FAIL: head failed: *the last words*"])
    assert not workers(pytester)


def test_a_gate_with_benchmarks_enabled_again_judges(suite):
    """As in projects whose ``addopts`` disables benchmarks and whose CI enables them."""
    call = "def test_call(harness_benchmark): harness_benchmark(lambda: None, turns=3)"
    done = suite("--benchmark-disable", "--benchmark-enable", SELF, "--harness-gate", test_call=call)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*--harness-gate cannot judge a callable*"])


@pytest.mark.long
def test_a_callable_without_a_stored_run_fails_the_gate(suite):
    gated = (SELF, "--harness-gate", "--benchmark-compare", "--benchmark-compare-fail=median:500%")
    call = "def test_{}(harness_benchmark): harness_benchmark(len, [], turns=2)"
    suite("--benchmark-autosave", test_call=call.format("old")).assert_outcomes(passed=1)
    suite(*gated, test_call=call.format("old")).assert_outcomes(passed=1)
    renamed = suite(*gated, test_call=call.format("new"))
    renamed.assert_outcomes(failed=1)
    renamed.stdout.fnmatch_lines(["*no run loaded by --benchmark-compare contains this test*"])


def test_a_gate_without_benchmarks_fails(suite):
    done = suite(SELF, "--harness-gate", test_plain="def test_plain():\n    pass\n")
    assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    done.stdout.fnmatch_lines(["--harness-gate: no harness_benchmark has a verdict*"])


def test_users_can_wrap_the_fixture(suite, pytester):
    pytester.makeconftest("""
        import functools
        import pytest

        @pytest.fixture
        def harness_benchmark(harness_benchmark):
            return functools.partial(harness_benchmark, turns=2)
    """)
    called = """
        import time

        def test_called(harness_benchmark):
            harness_benchmark(time.sleep, 0.02)

        def test_idle(harness_benchmark):
            pass
    """
    suite("-k", "called", test_it=called).assert_outcomes(passed=1)
    idle = suite("-k", "idle", "--harness-gate", SELF, "-W", "default")
    idle.assert_outcomes(failed=1)
    idle.stdout.fnmatch_lines(["*the test did not call harness_benchmark*"])
