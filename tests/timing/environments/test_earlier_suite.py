"""The suite of base: it judges head, and a benchmark that only base has is found."""

from pathlib import Path

import pytest
from support.repository import ONE, TWO, add_commit

from harness.errors import UsageError
from harness.timing.environments import git
from harness.timing.environments.earlier_suite import suite_in_force, suite_of_commit
from harness.timing.environments.suite_file import read_suite


def removed(project, path, *where, at_base=None):
    """The benchmarks that a suite lacks of that of HEAD; ``at_base`` is what base's file has instead."""
    top, call = project
    with git.checkout(top, call("rev-parse", "HEAD")) as tree:
        if at_base is not None:
            (tree / "gate.toml").write_text(at_base)
        suite = read_suite(path)
        found = suite_in_force(suite, suite_of_commit(suite, top, tree, *where)).removed
    return [each.name for each in found]


def test_benchmarks_that_only_the_commit_has_are_found(project):
    top, _ = project
    (top / "gate.toml").write_text(ONE)
    assert removed(project, top / "gate.toml") == ["b"]


def test_the_suite_of_a_folder_is_looked_for_there_in_the_commit(project):
    top, _ = project
    table = '[tool.harness.gate.benchmarks.{}]\nbackend = "torch"\ntask = "cnn"\n'
    add_commit(top, {"sub/pyproject.toml": table.format("old") + table.format("a")})
    (top / "sub" / "gate.toml").write_text(ONE)
    assert removed(project, top / "sub" / "gate.toml", Path("sub")) == ["old"]
    assert removed(project, top / "sub" / "gate.toml") == []  # it was asked for by name


def test_head_judges_where_the_commit_has_no_suite_that_can_be_read(project, tmp_path):
    (tmp_path / "quick.toml").write_text(ONE)
    assert removed(project, tmp_path / "quick.toml") == []
    for at_base in ("not = [toml", TWO + "later_key = true\n"):
        assert removed(project, project[0] / "gate.toml", at_base=at_base) == []


STRICT = '[benchmarks.a]\nstep = "bench.py:make"\n'
LOOSE = """\
max_slowdown = "100%"
false_alarms = "0.1%"
source = "elsewhere"
[benchmarks.a]
step = "bench.py:make"
values = "differ"
compare_calls = 3
[benchmarks.new]
step = "bench.py:new"
"""


def test_the_suite_of_base_judges_and_the_difference_is_stated(tmp_path):
    base, head = tmp_path / "base.toml", tmp_path / "gate.toml"
    base.write_text(STRICT)
    head.write_text(LOOSE)
    in_force = suite_in_force(read_suite(head), base)
    strict, new = in_force.suite.benchmarks
    assert strict == read_suite(base).benchmarks[0]
    assert (in_force.suite.false_alarms, in_force.suite.source) == (0.01, "")
    assert (new.limits.max_slowdown, in_force.new) == (1.0, {"new"})  # which base cannot judge
    assert in_force.difference == [
        "+benchmarks.a.compare_calls = 3",
        '+benchmarks.a.values = "differ"',
        '+benchmarks.new.step = "bench.py:new"',
        '+false_alarms = "0.1%"',
        '+max_slowdown = "100%"',
        '+source = "elsewhere"',
    ]
    base.write_text("not = [toml")
    with pytest.raises(UsageError, match=r"base\.toml"):
        suite_in_force(read_suite(head), base)
