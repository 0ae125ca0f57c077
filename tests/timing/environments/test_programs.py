"""Git and other programs: their output, and their errors in one line."""

import sys
from pathlib import Path

import pytest
from support.repository import ONE, TWO, add_commit

from harness.errors import HarnessError, UsageError
from harness.timing.environments import git
from harness.timing.environments.programs import output_of, run_plainly


@pytest.mark.parametrize("options", [(), (run_plainly,)], ids=["in a group", "plainly"])
def test_the_output_is_returned_without_white_space_around_it(tmp_path, options):
    assert output_of(["echo", " a "], tmp_path, "echo failed", *options) == "a"


@pytest.mark.parametrize("options", [(), (run_plainly,)], ids=["in a group", "plainly"])
def test_a_command_that_fails_is_reported_with_its_last_lines(tmp_path, options):
    command = ["sh", "-c", "seq 7 >&2; exit 3"]
    with pytest.raises(HarnessError, match=r"^seq failed: 3; 4; 5; 6; 7$"):
        output_of(command, tmp_path, "seq failed", *options)


def test_a_program_that_is_missing_is_reported(tmp_path):
    with pytest.raises(HarnessError, match=r"^git failed: .*No such file"):
        output_of([str(tmp_path / "git")], tmp_path, "git failed", run_plainly)


def test_the_error_of_a_command_is_text_for_records(tmp_path):
    command = [sys.executable, "-c", "import os, sys; os.write(2, b'caf\\xe9'); sys.exit(1)"]
    with pytest.raises(HarnessError) as raised:
        output_of(command, tmp_path, "it failed")
    assert str(raised.value) == "it failed: caf\ufffd"


def test_where_in_its_repository_a_folder_is(project):
    top, _ = project
    (top / "a" / "b").mkdir(parents=True)
    assert git.place_in_repository(top / "a" / "b") == Path("a/b")
    assert git.place_in_repository(top) == Path()


@pytest.mark.parametrize("called_by", ["a shell", "a hook"])
def test_a_worktree_touches_neither_its_repository_nor_that_of_a_hook(project, called_by, monkeypatch):
    """Git tells its hooks by variables which repository and index they work on."""
    top, call = project
    first = call("rev-parse", "HEAD")
    add_commit(top, {"gate.toml": ONE})
    before = call("status", "--porcelain", "--branch"), call("rev-parse", "HEAD"), call("for-each-ref")
    if called_by == "a hook":
        for name, value in (("DIR", ".git"), ("INDEX_FILE", ".git/index"), ("WORK_TREE", ".")):
            monkeypatch.setenv(f"GIT_{name}", str(top / value))
    with git.checkout(top, first) as tree:
        assert (tree / "gate.toml").read_text() == TWO
        assert len(call("worktree", "list").splitlines()) == 1
    assert not tree.parent.exists()
    assert before == (
        call("status", "--porcelain", "--branch"),
        call("rev-parse", "HEAD"),
        call("for-each-ref"),
    )
    assert (top / "gate.toml").read_text() == ONE


def test_a_worktree_of_a_worktree_and_of_a_sparse_one_is_complete(project, tmp_path):
    top, call = project
    add_commit(top, {"a/one": "1", "b/two": "2"})
    call("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    call("-C", str(tmp_path / "linked"), "sparse-checkout", "set", "a")
    with git.checkout(tmp_path / "linked", call("rev-parse", "HEAD")) as tree:
        assert sorted(path.name for path in tree.iterdir()) == [".git", "a", "b", "gate.toml"]
        assert git.place_in_repository(tree / "a") == Path("a")


def test_what_is_no_repository_or_no_commit_is_refused(project, tmp_path):
    top, _ = project
    with pytest.raises(UsageError, match=r"nowhere: no such commit\. In CI, write a branch as origin/BRANCH"):
        git.commit_of(top, "nowhere")
    with pytest.raises(UsageError, match="needs a git repository"):
        git.repository(tmp_path)
