"""Environments made from a repository: real git, real virtual environments; only pip is replaced."""

import datetime
import fcntl
import os
import subprocess
import threading
from pathlib import Path

import pytest
from support.repository import ONE, TWO

from harness.errors import HarnessError, UsageError
from harness.gate import commands, environment_cache, environments, git
from harness.gate.environments import Source

QUIETLY = [].append


@pytest.fixture
def installed(monkeypatch):
    """What pip was asked for: the folder in which it was called, and the requirement."""
    made = []

    def output_of(command, folder, failure, *how):
        if command[1:4] == ["-P", "-m", "pip"]:
            made.append((Path(folder), command[-1]))
            return ""
        if command[1:4] == ["-P", "-m", "venv"]:
            Path(command[4]).mkdir(parents=True)
            return ""
        return ours(command, folder, failure, *how)

    ours = commands.output_of
    monkeypatch.setattr(commands, "output_of", output_of)
    return made


def test_a_commit_is_installed_once_and_its_worktree_leaves_nothing(project, installed):
    top, call = project
    commit = git.commit_of(git.repository(top), "main")
    for _ in range(2):
        with git.checkout(top, commit) as tree:
            assert (tree / "gate.toml").read_text() == TWO
            base = environments.base_environment(tree, top, commit, Source(".[torch]"), QUIETLY)
            assert (base.label, base.commit) == ("base", commit)
        assert not tree.exists()
    assert [what for _, what in installed] == [".[torch]"]
    assert len(call("worktree", "list").splitlines()) == 1


def test_base_and_head_have_what_pip_finds_on_one_day(project, installed, monkeypatch):
    top, call = project
    commit = call("rev-parse", "HEAD")
    days = iter([1, 1, 2, 2])
    monkeypatch.setattr(environment_cache, "today", lambda: datetime.date(2026, 1, next(days)))
    first, second, third = (
        Path(environments.base_environment(top, top, commit, Source("."), QUIETLY).python).parents[1]
        for _ in range(3)
    )
    assert first == second != third
    assert len(installed) == 2
    assert first.is_dir()
    os.utime(first, (0, 0))
    with environments.head_environment(top, Source("./elsewhere"), QUIETLY):
        assert not first.exists()
        assert third.is_dir()


def test_head_with_changes_is_installed_anew_and_has_no_commit(project, installed):
    top, call = project
    with environments.head_environment(top, Source("."), QUIETLY) as head:
        assert head.commit == call("rev-parse", "HEAD")
    (top / "gate.toml").write_text(ONE)
    for _ in range(2):
        with environments.head_environment(top, Source("."), QUIETLY) as head:
            assert head.commit is None
    assert [folder == top for folder, _ in installed] == [False, True, True]


def test_the_environment_of_changes_outlives_the_gate_for_the_commands_that_it_suggests(project, installed):
    top, _ = project
    (top / "gate.toml").write_text(ONE)
    with environments.head_environment(top, Source("."), QUIETLY) as head:
        pass
    assert Path(head.python).parents[1].is_dir()


def test_a_project_below_the_top_is_installed_from_where_the_gate_is_called(project, installed):
    top, call = project
    (top / "part").mkdir()
    (top / "part" / "gate.toml").write_text(TWO)
    call("add", "-A")
    call("commit", "-qm", "two")
    commit, source = call("rev-parse", "HEAD"), Source(".[torch]", Path("part"))
    with git.checkout(top, commit) as tree:
        environments.base_environment(tree, top, commit, source, QUIETLY)
        environments.base_environment(tree, top, commit, Source(".[torch]"), QUIETLY)
        assert [folder for folder, _ in installed] == [tree / "part", tree]
    (top / "gate.toml").write_text(ONE)
    with environments.head_environment(top, source, QUIETLY):
        assert installed[-1][0] == top / "part"


def test_submodules_are_fetched_before_pip_installs_or_a_caution_says_that_they_are_missing(
    project, installed, tmp_path, monkeypatch
):
    """Git follows those of this test, which lie in the file system, only when it is told to."""
    top, call = project
    for name, value in (("COUNT", "1"), ("KEY_0", "protocol.file.allow"), ("VALUE_0", "always")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    part = tmp_path / "part"
    subprocess.run(["git", "clone", "-q", top, part], check=True)
    call("submodule", "--quiet", "add", str(part), "part")
    call("commit", "-qm", "two")
    commit = call("rev-parse", "HEAD")
    with git.checkout(top, commit) as tree:
        environments.base_environment(tree, top, commit, Source("."), QUIETLY)
        assert (tree / "part" / "gate.toml").read_text() == TWO
    assert len(call("worktree", "list").splitlines()) == 1
    part.rename(tmp_path / "away")
    with git.checkout(top, commit) as tree:
        lacking = environments.base_environment(tree, top, commit, Source(".[torch]"), QUIETLY)
    assert "base lacks some of its submodules: git submodule failed" in lacking.cautions[0]
    with environments.head_environment(top, Source(".[torch]"), QUIETLY) as head:
        assert Path(head.python).parents[2] == Path(lacking.python).parents[2]
        assert head.python != lacking.python  # which a gate may be using
    (tmp_path / "away").rename(part)  # and what lacked them is not kept for the day
    with git.checkout(top, commit) as tree:
        whole = environments.base_environment(tree, top, commit, Source(".[torch]"), QUIETLY)
    assert len(installed) == 4
    assert whole.python not in (lacking.python, head.python)


def test_untracked_files_are_no_change_and_no_part_of_head(project, installed):
    top, call = project
    (top / "junit.xml").touch()
    (top / "new.py").touch()
    with environments.head_environment(top, Source("."), QUIETLY) as head:
        assert head.commit == call("rev-parse", "HEAD")
    ((folder, _),) = installed
    assert folder != top
    (caution,) = head.cautions
    assert "junit.xml and 1 more are untracked and not part of it" in caution


def test_a_gate_that_waits_for_another_says_so(project, installed):
    top, call = project
    said = []
    commit, source = call("rev-parse", "HEAD"), Source(".")
    file = environments._cached(top, commit, source).with_suffix(".lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.5, held.close).start()
        environments.base_environment(top, top, commit, source, said.append)
    assert [word for word in said if "waiting" in word] == said[:1]


def test_a_relative_cache_folder_is_relative_to_the_current_folder(project, installed, monkeypatch):
    top, call = project
    monkeypatch.chdir(top.parent)
    monkeypatch.setenv("HARNESS_CACHE_DIR", "beside")
    base = environments.base_environment(top, top, call("rev-parse", "HEAD"), Source("."), QUIETLY)
    assert Path(base.python).is_relative_to(top.parent / "beside")


def test_a_cache_that_cannot_be_written_is_refused_in_a_line(project, installed, monkeypatch):
    top, call = project
    (top.parent / "file").touch()
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(top.parent / "file"))
    with pytest.raises(
        UsageError, match=r"environments cannot be kept in .*: Not a directory; set HARNESS_CACHE_DIR"
    ):
        environments.base_environment(top, top, call("rev-parse", "HEAD"), Source("."), QUIETLY)


@pytest.mark.slow
def test_an_installation_that_fails_is_reported_and_not_taken_for_complete(project):
    top, call = project
    commit = call("rev-parse", "HEAD")
    for _ in range(2):  # the second must not find what the first left
        with pytest.raises(HarnessError, match=r"pip install \. failed: .*not installable"):
            environments.base_environment(top, top, commit, Source("."), QUIETLY)
