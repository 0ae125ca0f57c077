"""What the pytest plugin refuses, and what it costs those who do not use it."""

import pytest
from support.plugin_suite import CALL, SELF, STEP

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--harness-gate",),
            "*--harness-gate needs a base: add --harness-base REF, a commit, or --harness-base-python PATH*",
        ),
        (("--harness-base-python=/no/such",), "*--harness-base-python /no/such: no such program*"),
        (
            (SELF, "--harness-gate", "--harness-budget=nan"),
            "*--harness-budget: 'nan' is not a duration. Write 90s, 5m or 1h*",
        ),
        ((SELF, "--harness-gate", "-n", "2"), "*xdist runs tests in parallel*"),
        (
            (SELF, "--harness-gate", "--benchmark-disable"),
            "*--harness-gate has no results with --benchmark-disable*",
        ),
        ((SELF, "--harness-gate", "-p", "no:benchmark"), "*pip install 'dl-harness[[]pytest[]]'*"),
    ],
)
def test_impossible_options_are_refused_before_collection(suite, arguments, message):
    done = suite(*arguments, test_step=STEP)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([message])


#: A call with an error, and the message that says what is right.
WRONG_CALLS = [
    (
        '"torch", "mlp", batchsize=5',
        "harness_benchmark: unknown key 'batchsize'. Did you mean 'batch_size'*",
    ),
    (
        '"torch", "mlp", max_slowdown=0.05',
        '*max_slowdown = 0.05 is not a number above 0 with its unit*write max_slowdown = "5%"*',
    ),
    ('"torch", "mlp", pairs=0', "*pairs=0 is not a whole number of at least 1*"),
    ('"torch", "mpl"', "*unknown task 'mpl'. Did you mean 'mlp'*"),
    (
        '"torch:eager", "mlp", mode="compile"',
        "*'torch:eager' already has a mode; leave mode='compile' out*",
    ),
    ('"torch"', '*takes a backend and a task, ("torch", "cnn"), or a callable*'),
    ("len, [], turns=1); harness_benchmark(len, []", "harness_benchmark can be called once per test*"),
    ("len, [], turns=0", "*turns=0 is not a whole number of at least 1*"),
    ('"torch", "mlp", batch_size=0', "*Expected `int` >= 1 - at `$.batch_size`*"),
    ('"torch", "mlp", device="gpu"', "*device = 'gpu' is none of auto, cpu, cuda*"),
    ("len, [], key=5", "*unknown keyword for a callable: key*"),
]


def test_a_wrong_call_says_what_is_right(suite):
    tests = [
        f"def test_{number}(harness_benchmark):\n    harness_benchmark({call})\n"
        for number, (call, _) in enumerate(WRONG_CALLS)
    ]
    done = suite(test_wrong="\n".join(tests))
    done.assert_outcomes(failed=len(tests))
    done.stdout.fnmatch_lines([message for _, message in WRONG_CALLS])


def test_a_test_without_a_verdict_fails_the_gate(suite):
    tests = """
def test_callable(harness_benchmark): harness_benchmark(len, [])
def test_idle(harness_benchmark): pass
def test_dynamic(request): request.getfixturevalue('harness_benchmark')('torch', 'mlp')
"""
    done = suite(SELF, "--harness-gate", "-W", "default", test_it=tests)
    done.assert_outcomes(failed=3)
    done.stdout.fnmatch_lines(
        [
            "*--harness-gate cannot judge a callable*",
            "*the test did not call harness_benchmark*",
            "*harness_benchmark must be an argument of the test*",
        ]
    )


def test_a_disabled_benchmark_still_fails_for_an_unknown_backend(suite):
    test = 'def test_step(harness_benchmark):\n    harness_benchmark("no-such", "mlp")\n'
    done = suite("--benchmark-disable", test_step=test)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*unknown backend 'no-such'*"])


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
    assert "harness.timing.pytest_plugin.fixture" in imported
    heavy = {"numpy", "pandas", "scipy", "torch", "msgspec", "harness.core.worker.session"}
    assert imported & heavy == set()
