"""The benchmarks that base's suite had and head's lacks, wherever the suite was in base."""

from pathlib import Path

import pytest
from support.repository import ONE, TWO

from harness.gate import git
from harness.gate.environments import vanished, vanished_from_commit
from harness.gate.suite import read_suite


def test_benchmarks_that_only_the_commit_has_are_found(project):
    top, call = project
    (top / "gate.toml").write_text(ONE)
    with git.checkout(top, call("rev-parse", "HEAD")) as tree:
        (removed,) = vanished_from_commit(read_suite(top / "gate.toml"), top, tree)
        assert (removed.name, removed.task) == ("b", "mlp")


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
    top, call = project
    (top / "sub").mkdir()
    table = '[tool.harness.gate.benchmarks.{}]\nbackend = "torch"\ntask = "cnn"\n'
    (top / "sub" / "pyproject.toml").write_text(table.format("old") + table.format("a"))
    call("add", "-A")
    call("commit", "-qm", "two")
    (top / "sub" / "gate.toml").write_text(ONE)
    suite = read_suite(top / "sub" / "gate.toml")
    with git.checkout(top, call("rev-parse", "HEAD")) as tree:
        (removed,) = vanished_from_commit(suite, top, tree, Path("sub"))
        assert removed.name == "old"
        assert vanished_from_commit(suite, top, tree) is None  # it was asked for by name


def test_a_suite_beside_the_one_that_stayed_need_not_have_what_that_has(project, tmp_path):
    top, call = project
    for other in (top / "nightly.toml", tmp_path / "quick.toml"):
        other.write_text(ONE)
        with git.checkout(top, call("rev-parse", "HEAD")) as tree:
            assert vanished_from_commit(read_suite(other), top, tree) is None


def test_what_base_asked_for_may_be_refused_today_and_still_vanishes(project):
    top, call = project
    (top / "gate.toml").write_text(ONE)
    with git.checkout(top, call("rev-parse", "HEAD")) as tree:
        (tree / "gate.toml").write_text(TWO + "seeds = 1\nlater_key = true\n")
        (removed,) = vanished_from_commit(read_suite(top / "gate.toml"), top, tree)
    assert removed.name == "b"


def test_a_suite_that_was_moved_still_has_to_have_what_it_had(project, tmp_path):
    top, call = project
    (top / "gate.toml").unlink()
    for moved in (top / "ci" / "suite.toml", tmp_path / "outside.toml"):
        moved.parent.mkdir(exist_ok=True)
        moved.write_text(ONE)
        with git.checkout(top, call("rev-parse", "HEAD")) as tree:
            (removed,) = vanished_from_commit(read_suite(moved), top, tree)
            assert removed.name == "b"


def test_a_suite_of_another_name_that_was_moved_is_found_by_git(project):
    top, call = project
    (top / "bench").mkdir()
    call("mv", "gate.toml", "bench/nightly.toml")
    call("commit", "-qam", "two")
    base = call("rev-parse", "HEAD")
    call("mv", "bench/nightly.toml", "bench/weekly.toml")
    (top / "bench" / "weekly.toml").write_text(ONE)
    with git.checkout(top, base) as tree:
        (removed,) = vanished_from_commit(read_suite(top / "bench" / "weekly.toml"), top, tree)
        assert removed.name == "b"


def test_where_the_commit_has_no_suite_nothing_is_known(project):
    top, call = project
    suite = read_suite(top / "gate.toml")
    with git.checkout(top, call("rev-parse", "HEAD")) as tree:
        (tree / "gate.toml").write_text("not = [toml")
        assert vanished_from_commit(suite, top, tree) is None
