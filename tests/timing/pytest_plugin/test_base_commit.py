"""``--harness-base``: base is a commit in a worktree, with its own code, for all tests of a run."""

import pytest
from support.plugin_suite import SELF
from support.repository import add_commit, git

pytest_plugins = ["pytester"]

TEST = """
import os
import helper
from ownnet import trainer

def make_step():
    return lambda: trainer.train(helper.SIZE)

def test_step(harness_benchmark):
    harness_benchmark.step(make_step, threads=1, turns=2, pairs=1)

def test_environment():
    assert os.environ["PYTHONPATH"]
"""


@pytest.fixture
def repository(pytester):
    files = {
        "tests/test_own.py": TEST,
        "tests/helper.py": "SIZE = 1000\n",
        "ownnet/__init__.py": "",
        "ownnet/trainer.py": "def train(size):\n    return sum(range(size))\n",
        "pytest.ini": "[pytest]\npythonpath = .\n",
    }
    add_commit(pytester.path, files)
    git(pytester.path, "tag", "good")
    return pytester.path


def test_base_runs_the_code_of_the_commit(suite, repository, tmp_path, monkeypatch):
    """Each fails by its own code; no worktree is left behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    add_commit(repository, {"ownnet/trainer.py": "def train(size):\n    raise ValueError('of base')\n"})
    (repository / "ownnet" / "trainer.py").write_text("def train(size):\n    return 1\n")
    untimed = ("--harness-base", "HEAD", "--benchmark-disable", "-W", "default")
    done = suite(*untimed)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*base: tests/test_own.py:make_step raised ValueError: of base*"])
    suite("--harness-base", "good", *untimed[2:]).assert_outcomes(passed=2)
    assert not list(tmp_path.glob("dl-harness-checkout-*"))


@pytest.mark.slow
def test_a_slower_working_tree_fails_the_gate(suite, repository):
    trainer = repository / "ownnet" / "trainer.py"
    trainer.write_text(trainer.read_text().replace("return", "sorted(range(9 * size));  return"))
    done = suite("--harness-base", "good", "--harness-gate", "-k", "test_step")
    done.assert_outcomes(failed=1, deselected=1)
    done.stdout.fnmatch_lines(["*test_own.py::test_step: FAIL: step *slower*"])


def test_an_interpreter_as_base_does_not_import_the_working_tree(suite, repository):
    done = suite(SELF, "-k", "test_step")
    done.stdout.fnmatch_lines(
        ["*base: tests/test_own.py:make_step: it imports *helper.py, the code of head: *"]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SELF,), "*--harness-base REF and --harness-base-python exclude each other*"),
        (("--harness-head-python=python",), "*--harness-base REF and --harness-head-python exclude*"),
        (("--harness-base=nothing",), "*--harness-base nothing: no such commit*"),
    ],
)
def test_impossible_bases_are_refused(suite, repository, arguments, message):
    done = suite("--harness-base=good", *arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([message])
