"""The benchmarks that base's suite had and head's lacks, wherever the suite was in base."""

from pathlib import Path

import pytest
from support.repository import ONE, TWO, add_commit

from harness.timing.environments import git
from harness.timing.environments.earlier_suite import vanished, vanished_from_commit
from harness.timing.environments.suite_file import read_suite


def missing(project, path, *where, base=None, at_base=None):
    """The names of what a suite lacks of base's, or None; ``at_base`` is what base's file has instead."""
    top, call = project
    with git.checkout(top, base or call("rev-parse", "HEAD")) as tree:
        if at_base is not None:
            (tree / "gate.toml").write_text(at_base)
        found = vanished_from_commit(read_suite(path), top, tree, *where)
    return found and [each.name for each in found]


def test_benchmarks_that_only_the_commit_has_are_found(project):
    top, _ = project
    (top / "gate.toml").write_text(ONE)
    assert missing(project, top / "gate.toml") == ["b"]


@pytest.mark.parametrize(
    ("now", "changed"),
    [
        ('task = "cnn"', []),
        ('task = "cnn"\nthreads = 1\nseeds = 9', []),
        ('task = "mlp"', ["a"]),
        ('task = "cnn"\nset = { dropout = 0.3 }', ["a"]),
        ('task = "cnn"\nbatch_size = 7', ["a"]),
    ],
)
def test_other_work_under_a_name_hides_nothing(project, now, changed):
    top, _ = project
    file = top / "gate.toml"
    file.write_text(f'[benchmarks.a]\nbackend = "torch"\n{now}\n')
    before = {"a": {"backend": "torch", "task": "cnn", "max_slowdown": "9%"}}
    assert [earlier.name for earlier in vanished(read_suite(file), before)] == changed


def test_a_suite_that_is_found_first_hides_nothing_of_what_was_found_before(project):
    top, _ = project
    table = '[tool.harness.gate.benchmarks.{}]\nbackend = "torch"\ntask = "cnn"\n'
    add_commit(top, {"sub/pyproject.toml": table.format("old") + table.format("a")})
    (top / "sub" / "gate.toml").write_text(ONE)
    assert missing(project, top / "sub" / "gate.toml", Path("sub")) == ["old"]
    assert missing(project, top / "sub" / "gate.toml") is None  # it was asked for by name


def test_a_suite_beside_the_one_that_stayed_need_not_have_what_that_has(project, tmp_path):
    for other in (project[0] / "nightly.toml", tmp_path / "quick.toml"):
        other.write_text(ONE)
        assert missing(project, other) is None


def test_what_base_asked_for_may_be_refused_today_and_still_vanishes(project):
    top, _ = project
    (top / "gate.toml").write_text(ONE)
    later = TWO + "seeds = 1\nlater_key = true\n"
    assert missing(project, top / "gate.toml", at_base=later) == ["b"]


def test_a_suite_that_was_moved_still_has_to_have_what_it_had(project, tmp_path):
    top, _ = project
    (top / "gate.toml").unlink()
    for moved in (top / "ci" / "suite.toml", tmp_path / "outside.toml"):
        moved.parent.mkdir(exist_ok=True)
        moved.write_text(ONE)
        assert missing(project, moved) == ["b"]


def test_a_suite_of_another_name_that_was_moved_is_found_by_git(project):
    top, call = project
    (top / "bench").mkdir()
    call("mv", "gate.toml", "bench/nightly.toml")
    call("commit", "-qam", "two")
    base = call("rev-parse", "HEAD")
    call("mv", "bench/nightly.toml", "bench/weekly.toml")
    (top / "bench" / "weekly.toml").write_text(ONE)
    assert missing(project, top / "bench" / "weekly.toml", base=base) == ["b"]


def test_where_the_commit_has_no_suite_nothing_is_known(project):
    assert missing(project, project[0] / "gate.toml", at_base="not = [toml") is None
