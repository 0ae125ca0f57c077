"""The fixture ``harness_benchmark`` as users run it, and ``--harness-base``."""

import json
import os
from pathlib import Path

import pytest
from support.pages import blocks
from support.repository import add_commit, git

pytest_plugins = ["pytester"]

TEST = """
import os
import helper
from ownnet import trainer

def step():
    return trainer.train(helper.SIZE)

def test_step(harness_benchmark):
    assert harness_benchmark(step) > 0

def test_environment():
    assert os.environ["PYTHONPATH"]
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Runs pytest on test files in a folder of its own; warnings are errors."""
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH") or "elsewhere")
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        monkeypatch.delenv(name)  # the pytest under test is not a worker of this one
    pytester.makeini("[pytest]\nfilterwarnings = error\npythonpath = .\n")

    def run(*arguments, **files):
        if files:
            pytester.makepyfile(**files)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=250)

    return run


@pytest.fixture
def repository(pytester, suite):
    files = {
        "tests/test_own.py": TEST,
        "tests/helper.py": "SIZE = 1000\n",
        "ownnet/__init__.py": "",
        "ownnet/trainer.py": "def train(size):\n    return sum(range(size))\n",
        "pytest.ini": (pytester.path / "tox.ini").read_text(),
    }
    add_commit(pytester.path, files)
    git(pytester.path, "tag", "good")
    return pytester.path


def test_the_documented_example_is_timed_and_saved_by_pytest_benchmark(suite):
    (example,) = [block.text for block in blocks("docs/how-to/benchmark-in-pytest.md", "python")]
    done = suite("--benchmark-json=saved.json", test_page=example)
    done.assert_outcomes(passed=1)
    (saved,) = json.loads(Path("saved.json").read_text())["benchmarks"]
    times, calls = saved["stats"]["data"], saved["stats"]["iterations"]
    assert len(times) == 24
    assert min(times) > 0
    assert min(times) * calls > 0.05


def test_a_disabled_benchmark_runs_once_and_an_undisturbed_suite_imports_little(suite, pytester):
    pytester.makeconftest(
        "import sys\n\ndef pytest_unconfigure():\n    print('IMPORTED', *sys.modules, file=sys.stderr)\n"
    )
    test = """
        calls = []

        def test_call(harness_benchmark):
            harness_benchmark(calls.append, 1)
            assert calls == [1]
    """
    done = suite("--benchmark-disable", test_call=test)
    done.assert_outcomes(passed=1)
    imported = set(done.stderr.str().rpartition("IMPORTED")[2].split())
    assert "harness.timing.pytest_plugin" in imported
    assert imported & {"numpy", "pandas", "scipy", "torch", "msgspec"} == set()


@pytest.mark.slow
def test_a_slower_working_tree_fails(suite, repository, tmp_path, monkeypatch):
    """Base runs the commit's own code; no worktree is left behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    trainer = repository / "ownnet" / "trainer.py"
    trainer.write_text(trainer.read_text().replace("return", "sorted(range(9 * size));  return"))
    done = suite("--harness-base", "good", "--benchmark-json=saved.json")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["FAIL: step *slower*"])
    (saved,) = json.loads(Path("saved.json").read_text())["benchmarks"]
    assert saved["extra_info"]["verdict"] == "FAIL"
    assert not list(tmp_path.glob("dl-harness-checkout-*"))


@pytest.mark.parametrize(
    ("arguments", "outcome", "message"),
    [
        (("--harness-base=nothing",), "errors", "*--harness-base nothing: no such commit*"),
        (
            ("--harness-base=good", "--benchmark-disable"),
            "failed",
            "--harness-base times nothing with --benchmark-disable*",
        ),
    ],
)
def test_nothing_passes_without_a_comparison(suite, repository, arguments, outcome, message):
    done = suite(*arguments, "-k", "test_step")
    done.assert_outcomes(**{outcome: 1, "deselected": 1})
    done.stdout.fnmatch_lines([message])


def test_a_function_that_no_other_process_can_call_fails(suite, repository):
    tests = """
        def same(value):
            return value

        def test_local(harness_benchmark): harness_benchmark(lambda: 1)
        def test_object(harness_benchmark): harness_benchmark(same, object())
    """
    done = suite("--harness-base=good", "test_wrong.py", test_wrong=tests)
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(
        ["*is not a function at the top level of a module*", "*arguments of same cannot be sent*"]
    )
