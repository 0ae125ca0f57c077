"""Repositories, commits and worktrees, with real git."""

from pathlib import Path

import pytest

from harness.errors import HarnessError, UsageError
from harness.gate import git


def test_where_in_its_repository_a_folder_is(project):
    top, _ = project
    (top / "a" / "b").mkdir(parents=True)
    assert git.place_in_repository(top / "a" / "b") == Path("a/b")
    assert git.place_in_repository(top) == Path()


def test_a_worktree_that_cannot_be_removed_costs_no_measurement(project, monkeypatch):
    top, call = project
    real = git._git

    def unable(folder, *words):
        if words[:2] == ("worktree", "remove"):
            raise HarnessError("failed to delete: Permission denied")
        return real(folder, *words)

    monkeypatch.setattr(git, "_git", unable)
    with git.checkout(top, call("rev-parse", "HEAD")) as tree:
        measured = tree.exists()
    assert measured
    assert not tree.exists()


def test_what_is_no_repository_or_no_commit_is_refused(project, tmp_path):
    top, _ = project
    with pytest.raises(UsageError, match=r"no such commit\. In CI a branch is origin/nowhere"):
        git.commit_of(top, "nowhere")
    with pytest.raises(UsageError, match="needs a git repository"):
        git.repository(tmp_path)
