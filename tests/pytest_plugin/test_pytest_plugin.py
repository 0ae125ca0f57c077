"""``harness_benchmark`` as users run it: pytest in a folder of its own, on a backend of known pace."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import platformdirs
import pytest
from support.command import PLUGINS
from support.made_gates import BASE, made_benchmark, made_gate
from threadpoolctl import threadpool_info

from harness.machine.control import Control
from harness.pytest_plugin.calls import time_calls
from harness.pytest_plugin.judging import verdict_sentence
from harness.pytest_plugin.training import own_threads_kept

pytest_plugins = ["pytester"]

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)
#: A side that sleeps has no noise that more turns and processes would even out.
QUICK = "certify=False, pairs=2, turns=2"
STEP = f"""
def test_step(harness_benchmark):
    harness_benchmark("paced", "mlp", {QUICK})
"""
CACHE = platformdirs.user_cache_dir("dl-harness")
CALL = """
import time

def test_call(harness_benchmark):
    assert harness_benchmark(lambda seconds: time.sleep(seconds) or "slept", 0.02, turns=3) == "slept"
"""
SELF = f"--harness-base-python={sys.executable}"


@pytest.fixture
def suite(pytester, monkeypatch):
    """Runs pytest on test files in a folder of its own, where any warning is an error."""
    # pytester gives tests another HOME; certificates are found again in this one.
    monkeypatch.setenv("HARNESS_CACHE_DIR", os.environ.get("HARNESS_CACHE_DIR") or CACHE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("HARNESS_DATA_DIR", str(pytester.path / "data"))
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        monkeypatch.delenv(name)  # the pytest that is tried is no worker of this one's
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no test depends on the internet
    pytester.makeini("[pytest]\nfilterwarnings = error\ntimeout = 200\n")

    def run(*arguments, **files):
        if files:
            pytester.makepyfile(**files)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=250)

    return run


def saved(path):
    """The benchmarks of a file of pytest-benchmark's, by name."""
    return {one["name"]: one for one in json.loads(Path(path).read_text())["benchmarks"]}


def failure_message(path):
    return ElementTree.parse(path).find(".//failure").get("message")  # noqa: S314  pytest's own


def interpreter(path, **variables):
    """An interpreter that is this one with some variables set: another environment for a base or a head."""
    words = " ".join(f"{name}={value}" for name, value in variables.items())
    path.write_text(f'#!/bin/sh\nexec env {words} {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def workers(pytester):
    mine = str(pytester.path / "data").encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"harness.worker" in told[0] and mine in told[1]:
            found.append(folder.name)
    return found


def test_samples_are_saved_compared_and_drawn_by_pytest_benchmark(suite, pytester, monkeypatch):
    first = suite(
        "--benchmark-autosave",
        "--benchmark-json=one.json",
        "--benchmark-histogram=drawn",
        test_step=STEP,
        test_call=CALL,
    )
    first.assert_outcomes(passed=2)
    one = saved("one.json")
    step, call = one["test_step"], one["test_call"]
    assert len(step["stats"]["data"]) == 2
    assert step["stats"]["data"] == pytest.approx([0.01, 0.01], rel=0.1)
    assert all(
        0.02 <= seconds < 0.038 for seconds in call["stats"]["data"]
    )  # on a busy machine a sleep is long
    assert call["extra_info"]["block_calls"] >= 6
    told = step["extra_info"]
    assert (told["backend"], told["mode"], told["task"], told["dataset"]) == (
        "paced",
        "plain",
        "mlp",
        "mnist1d",
    )
    assert told["framework"]["engine"] == "numpy"
    assert told["block_steps"] >= 3
    assert told["certificate"] is None
    assert told["peak_memory_bytes"] > 2**20
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
    assert medians == pytest.approx([0.01, 0.013], rel=0.1)


def test_a_step_of_torch_is_certified_and_held_against_base(suite):
    test = """
def test_step(harness_benchmark):
    harness_benchmark("torch", "mlp", threads=1, pairs=1, turns=2, set={"width": 0.5}, batch_size=50)
"""
    suite("--benchmark-json=one.json", test_torch=test).assert_outcomes(passed=1)
    told = saved("one.json")["test_step"]["extra_info"]
    assert told["certificate"]["certified"]
    assert told["framework"]["torch"]
    assert (told["options"]["width"], told["batch_size"], told["threads"]) == (0.5, 50, 1)


def test_base_and_head_run_in_turn_and_the_samples_are_heads(suite, pytester):
    head = interpreter(pytester.path / "head-python", PACED_FACTOR="1.2")
    done = suite(SELF, f"--harness-head-python={head}", "--benchmark-json=one.json", test_step=STEP)
    done.assert_outcomes(passed=1)
    step = saved("one.json")["test_step"]
    assert step["stats"]["median"] == pytest.approx(0.012, rel=0.05)
    assert step["extra_info"]["base"]["step_seconds"] == pytest.approx(0.01, rel=0.05)
    assert step["extra_info"]["ratio"] == pytest.approx(1.2, abs=0.05)
    done.stdout.fnmatch_lines(
        ["*= harness =*", "test_step.py::test_step: cannot tell yet * 1.??? times as long*"]
    )


LIMITED = """
def test_step(harness_benchmark):
    harness_benchmark("paced", "mlp", turns=2, max_slowdown="15%", max_memory_growth="off")
"""


#: A verdict that costs no pairs.
MADE_UP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from support.made_gates import made_benchmark, made_gate
from harness.pytest_plugin import judging
judging.judge = lambda *arguments, **options: made_gate(made_benchmark(confirmed=5))
"""


def test_what_passes_the_gate_is_told_with_its_evidence(suite, pytester):
    pytester.makeconftest(MADE_UP)
    done = suite(SELF, "--harness-gate", "--benchmark-json=one.json", test_step=LIMITED)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(
        ["test_step.py::test_step: PASS: step *against base, ≤ 5 % is allowed (5 pairs*"]
    )
    step = saved("one.json")["test_step"]
    assert (step["extra_info"]["verdict"], step["extra_info"]["metrics"][0]["pairs"]) == ("PASS", 5)
    assert (
        step["extra_info"]["interval"][0] <= step["extra_info"]["ratio"] <= step["extra_info"]["interval"][1]
    )
    assert len(step["stats"]["data"]) == 8


def test_what_the_gate_has_judged_no_other_rule_judges(suite, pytester):
    suite("--benchmark-autosave", test_step=STEP).assert_outcomes(passed=1)
    (stored,) = pytester.path.glob(".benchmarks/*/*.json")
    document = json.loads(stored.read_text())
    document["benchmarks"][0]["stats"]["median"] /= 10
    stored.write_text(json.dumps(document))
    rule = ("--benchmark-compare", "--benchmark-compare-fail=median:5%")
    assert "Performance has regressed" in suite(*rule).stderr.str()
    pytester.makeconftest(MADE_UP)
    judged = suite(SELF, "--harness-gate", *rule)
    judged.assert_outcomes(passed=1)
    assert judged.ret == pytest.ExitCode.OK


def test_what_a_reader_must_know_of_the_two_sides_is_told_with_the_verdict():
    shared = "PYTHONPATH=src reaches both sides: its code is the same for both"
    base = msgspec.structs.replace(BASE, cautions=[shared])
    sentence = verdict_sentence(made_gate(made_benchmark(), base=base))
    assert sentence.startswith("PASS: step ")
    assert f". {shared}." in sentence


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("its look had not ended: give more (--budget)", "give more (--harness-budget)"),
        ("a process would take 99 s: give fewer (--turns)", "give fewer (turns=)"),
    ],
)
def test_what_is_advised_is_what_pytest_takes(reason, told):
    undecided = made_benchmark(metrics=[], verdict="INCONCLUSIVE", reason=reason)
    assert told in verdict_sentence(made_gate(undecided))


def test_a_callable_that_regressed_is_not_green_where_no_summary_is_written(suite, pytester):
    suite("--benchmark-autosave", test_call=CALL).assert_outcomes(passed=1)
    (stored,) = pytester.path.glob(".benchmarks/*/*.json")
    document = json.loads(stored.read_text())
    rule = ("--benchmark-compare", "--benchmark-compare-fail=median:50%", "-p", "no:terminal")
    assert suite(SELF, "--harness-gate", *rule).ret == pytest.ExitCode.OK
    document["benchmarks"][0]["stats"]["median"] /= 10
    stored.write_text(json.dumps(document))
    assert suite(SELF, "--harness-gate", *rule).ret == pytest.ExitCode.TESTS_FAILED


def test_an_interpreter_is_found_from_where_pytest_was_started(suite, pytester):
    interpreter(pytester.path / "base-python")
    elsewhere = f"import os\n{STEP}".replace("    harness", "    os.chdir('..')\n    harness")
    done = suite("--harness-base-python=./base-python", test_step=elsewhere)
    done.assert_outcomes(passed=1)


def test_a_call_is_timed_without_what_traces_it():
    """As pytest-benchmark does it: coverage would be most of the time."""
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
    assert seen == {(None, None), (tracer, tracer)}  # one call more, of which coverage sees the lines
    assert after == (tracer, tracer)


def test_a_regression_is_a_failure_that_says_by_how_much_and_how_sure(suite, pytester):
    head = interpreter(pytester.path / "head-python", PACED_FACTOR="1.25")
    arguments = (SELF, f"--harness-head-python={head}", "--harness-gate", "--benchmark-json=one.json")
    done = suite(*arguments, "--junitxml=junit.xml", test_step=LIMITED)
    done.assert_outcomes(failed=1)
    sentence = (
        "FAIL: step +2?.? % [[]*[]] against base, ≤ 15 % is allowed (* pairs*p = 0.0*): worse than base*"
    )
    done.stdout.fnmatch_lines([sentence, f"test_step.py::test_step: {sentence}"])
    assert "≤ 15 % is allowed" in failure_message("junit.xml")
    step = saved("one.json")["test_step"]
    assert step["extra_info"]["verdict"] == "FAIL"
    assert step["extra_info"]["ratio"] == pytest.approx(1.25, abs=0.03)
    assert len(step["stats"]["data"]) >= 12  # of the look and of the fresh pairs


DYING = """
def test_step(harness_benchmark):
    harness_benchmark("paced", "mlp", mode="dies", turns=2)
"""


@pytest.mark.parametrize("choice", ["fail", "pass"])
def test_a_base_that_dies_leaves_nothing_that_could_pass(suite, pytester, choice):
    base = interpreter(pytester.path / "base-python", PACED_FAILS_WHEN="/")
    head = interpreter(pytester.path / "head-python", PACED_FAILS_WHEN="/never")
    arguments = (f"--harness-base-python={base}", f"--harness-head-python={head}", "--harness-gate")
    done = suite(*arguments, f"--harness-inconclusive={choice}", test_step=DYING)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["test_step.py::test_step: INCONCLUSIVE: side base: *the last words*"])


def test_a_head_that_dies_fails_the_gate(suite, pytester):
    base = interpreter(pytester.path / "base-python", PACED_FAILS_WHEN="/never")
    done = suite(f"--harness-base-python={base}", "--harness-gate", test_step=DYING)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["test_step.py::test_step: FAIL: side head: *the last words*"])
    assert not workers(pytester)


def test_a_side_that_fails_is_a_failure_with_its_last_words(suite, pytester):
    test = """
def test_dies(harness_benchmark):
    harness_benchmark("paced", "mlp", mode="dies", certify=False)
"""
    done = suite("--junitxml=junit.xml", test_dies=test)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["side paced:dies: the worker process exited with code 9 [[]the last words[]]"])
    assert "the last words" in failure_message("junit.xml")
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


def test_disabled_it_runs_once_and_says_so(suite):
    done = suite("--benchmark-disable", SELF, test_step=STEP, test_call=CALL)
    done.stdout.fnmatch_lines([f"harness: base and head are the same, {sys.executable}: nothing but chance*"])
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["2 of 2 benchmarks ran once and were not timed: --benchmark-disable"])
    assert "Median" not in done.stdout.str()


def test_a_gate_that_is_enabled_again_judges(suite):
    """As where ``addopts`` disables benchmarks and CI enables them."""
    done = suite("--benchmark-disable", "--benchmark-enable", SELF, "--harness-gate", test_call=CALL)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*--harness-gate cannot judge a callable*"])


def test_the_example_in_the_readme_runs(suite):
    (example,) = [block for block in BLOCKS if "harness_benchmark" in block]
    suite("--benchmark-disable", test_readme=example).assert_outcomes(passed=2)


def test_disabled_it_still_fails_where_the_side_does(suite):
    test = 'def test_step(harness_benchmark):\n    harness_benchmark("no-such", "mlp")\n'
    done = suite("--benchmark-disable", test_step=test)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*unknown backend 'no-such'*"])


def test_under_xdist_nothing_is_timed_and_the_reason_is_told(suite):
    done = suite("-n", "2", "-W", "default", test_call=CALL)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(
        ["1 of 1 benchmarks ran once and were not timed: xdist runs tests side by side*"]
    )


def test_benchmarks_are_chosen_and_left_out_as_pytest_benchmarks_are(suite):
    plain = "def test_plain():\n    pass\n"
    only = suite("--benchmark-only", test_call=CALL, test_plain=plain)
    only.assert_outcomes(passed=1, skipped=1)
    suite("--benchmark-skip").assert_outcomes(passed=1, skipped=1)
    suite("-k", "plain").assert_outcomes(passed=1, deselected=1)


def test_a_rerun_measures_afresh_and_replaces_what_was_saved(suite):
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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--harness-gate",),
            "*--harness-gate has nothing to hold against: give --harness-base-python PATH*",
        ),
        (("--harness-base-python=/no/such",), "*--harness-base-python /no/such: there is no such program*"),
        (
            (SELF, "--harness-gate", "--harness-budget=nan"),
            "*--harness-budget: nan is no number of seconds above 0*",
        ),
        ((SELF, "--harness-gate", "-n", "2"), "*side by side are worthless*"),
        ((SELF, "--harness-gate", "--benchmark-disable"), "*would judge nothing with --benchmark-disable*"),
        ((SELF, "--harness-gate", "-p", "no:benchmark"), "*pip install 'dl-harness[[]pytest[]]'*"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(suite, arguments, told):
    done = suite(*arguments, test_step=STEP)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([told])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            '"torch", "mlp", batchsize=5',
            "harness_benchmark: unknown key 'batchsize'. Did you mean 'batch_size'*",
        ),
        (
            '"torch", "mlp", max_slowdown=0.05',
            '*max_slowdown = 0.05 is no number above 0 with its unit*write max_slowdown = "5%"*',
        ),
        ('"torch", "mlp", pairs=0', "*pairs=0: it takes a whole number > 0*"),
        ('"torch", "mpl"', "*unknown task 'mpl'. Did you mean 'mlp'*"),
        ('"torch:eager", "mlp", mode="compile"', "*'torch:eager' names a mode already, and mode='compile'*"),
        ('"torch"', '*takes a backend and a task, ("torch", "cnn"), or a callable*'),
        ("len, [], turns=1); harness_benchmark(len, []", "harness_benchmark is called once in a test*"),
        ("len, [], turns=0", "*turns=0: it takes a whole number > 0*"),
        ('"torch", "mlp", batch_size=0', "*Expected `int` >= 1 - at `$.batch_size`*"),
        ('"torch", "mlp", device="gpu"', "*device = 'gpu' is none of auto, cpu, cuda*"),
        ("len, [], key=5", "*a callable takes no key*"),
    ],
)
def test_a_wrong_call_says_what_is_right(suite, call, told):
    done = suite(test_step=f"def test_step(harness_benchmark):\n    harness_benchmark({call})\n")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([told])


@pytest.mark.parametrize(
    ("test", "told"),
    [
        (
            "def test(harness_benchmark): harness_benchmark(len, [])",
            "*--harness-gate cannot judge a callable*",
        ),
        ("def test(harness_benchmark): pass", "*harness_benchmark was not called*"),
        (
            "def test(request): request.getfixturevalue('harness_benchmark')('torch', 'mlp')",
            "*harness_benchmark must be an argument of the test*",
        ),
    ],
)
def test_what_the_gate_cannot_judge_is_not_green(suite, test, told):
    done = suite(SELF, "--harness-gate", "-W", "default", test_it=test)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([told])


def test_a_fixture_of_the_users_may_wrap_it(suite, pytester):
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
    idle.stdout.fnmatch_lines(["*harness_benchmark was not called*"])


def test_a_callable_that_no_stored_run_has_is_not_green(suite):
    gated = (SELF, "--harness-gate", "--benchmark-compare", "--benchmark-compare-fail=median:500%")
    call = "def test_{}(harness_benchmark): harness_benchmark(len, [], turns=2)"
    suite("--benchmark-autosave", test_call=call.format("old")).assert_outcomes(passed=1)
    suite(*gated, test_call=call.format("old")).assert_outcomes(passed=1)
    renamed = suite(*gated, test_call=call.format("new"))
    renamed.assert_outcomes(failed=1)
    renamed.stdout.fnmatch_lines(["*no run that --benchmark-compare loads has this test*"])


def test_a_gate_that_judged_nothing_is_not_green(suite):
    done = suite(SELF, "--harness-gate", test_plain="def test_plain():\n    pass\n")
    assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    done.stdout.fnmatch_lines(["--harness-gate judged nothing*"])


def test_numpy_has_its_threads_back_after_a_measurement():
    def threads():
        # Other libraries with threads, OpenMP's, are in this process where tests before imported them.
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    before = threads()
    with own_threads_kept():
        Control()
        assert set(threads()) == {1}
    assert threads() == before


def test_without_pytest_benchmark_only_the_fixture_fails(suite):
    plain = "def test_plain():\n    pass\n"
    done = suite("-p", "no:benchmark", test_call=CALL, test_plain=plain)
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(
        ["harness_benchmark needs pytest-benchmark: pip install 'dl-harness[[]pytest[]]'"]
    )


def test_collecting_starts_and_imports_nothing(suite, pytester):
    pytester.makeconftest(
        "import sys\n\ndef pytest_unconfigure():\n    print('IMPORTED', *sys.modules, file=sys.stderr)\n"
    )
    done = suite("--collect-only", "-q", test_step=STEP)
    done.stdout.fnmatch_lines(["test_step.py::test_step"])
    imported = set(done.stderr.str().rpartition("IMPORTED")[2].split())
    assert "harness.pytest_plugin.fixture" in imported
    heavy = {"numpy", "pandas", "scipy", "torch", "msgspec", "harness.worker.__main__.session"}
    assert imported & heavy == set()
