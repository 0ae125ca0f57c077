"""Environments made from a repository: real git, real virtual environments; only pip is stood in for."""

import datetime
import fcntl
import os
import subprocess
import threading
from pathlib import Path

import pytest

from harness.errors import HarnessError, UsageError
from harness.gate import checkouts
from harness.gate.checkouts import Source
from harness.gate.suite import read_suite

QUIETLY = [].append
TWO = '[benchmarks.a]\nbackend = "torch"\ntask = "cnn"\n[benchmarks.b]\nbackend = "torch"\ntask = "mlp"\n'
ONE = '[benchmarks.a]\nbackend = "torch"\ntask = "cnn"\n'


@pytest.fixture
def git(tmp_path, monkeypatch):
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    top = tmp_path / "project"
    top.mkdir()

    def call(*arguments):
        done = subprocess.run(["git", "-C", top, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    call("init", "-q", "-b", "main")
    (top / "gate.toml").write_text(TWO)
    call("add", "-A")
    call("commit", "-qm", "one")
    return top, call


@pytest.fixture
def installed(monkeypatch):
    """What pip was asked for: the folder it was called in, and what it was to install."""
    made = []

    def run(command, folder, failure, *how):
        if command[1:4] == ["-P", "-m", "pip"]:
            made.append((Path(folder), command[-1]))
            return ""
        if command[1:4] == ["-P", "-m", "venv"]:
            Path(command[4]).mkdir(parents=True)
            return ""
        return ours(command, folder, failure, *how)

    ours = checkouts._run
    monkeypatch.setattr(checkouts, "_run", run)
    return made


def test_a_commit_is_installed_once_and_its_worktree_leaves_nothing(git, installed):
    top, call = git
    commit = checkouts.commit_of(checkouts.repository(top), "main")
    for _ in range(2):
        with checkouts.checkout(top, commit) as tree:
            assert (tree / "gate.toml").read_text() == TWO
            base = checkouts.base_environment(tree, top, commit, Source(".[torch]"), QUIETLY)
            assert (base.label, base.commit) == ("base", commit)
        assert not tree.exists()
    assert [what for _, what in installed] == [".[torch]"]
    assert len(call("worktree", "list").splitlines()) == 1


def test_base_and_head_have_what_pip_finds_on_one_day(git, installed, monkeypatch):
    top, call = git
    commit = call("rev-parse", "HEAD")
    days = iter([1, 1, 2, 2])
    monkeypatch.setattr(checkouts, "_today", lambda: datetime.date(2026, 1, next(days)))
    first, second, third = (
        Path(checkouts.base_environment(top, top, commit, Source("."), QUIETLY).python).parents[1]
        for _ in range(3)
    )
    assert first == second != third
    assert len(installed) == 2
    assert first.is_dir()
    os.utime(first, (0, 0))
    with checkouts.head_environment(top, Source("./elsewhere"), QUIETLY):
        assert not first.exists()
        assert third.is_dir()


def test_head_with_changes_is_installed_anew_and_goes_by_no_commit(git, installed):
    top, call = git
    with checkouts.head_environment(top, Source("."), QUIETLY) as head:
        assert head.commit == call("rev-parse", "HEAD")
    (top / "gate.toml").write_text(ONE)
    for _ in range(2):
        with checkouts.head_environment(top, Source("."), QUIETLY) as head:
            assert head.commit is None
    assert [folder == top for folder, _ in installed] == [False, True, True]


def test_what_is_installed_of_changes_outlives_the_gate_for_the_commands_that_it_advises(git, installed):
    top, _ = git
    (top / "gate.toml").write_text(ONE)
    with checkouts.head_environment(top, Source("."), QUIETLY) as head:
        pass
    assert Path(head.python).parents[1].is_dir()


def test_a_project_below_the_top_is_installed_from_where_the_gate_is_called(git, installed):
    top, call = git
    (top / "part").mkdir()
    (top / "part" / "gate.toml").write_text(TWO)
    call("add", "-A")
    call("commit", "-qm", "two")
    commit, source = call("rev-parse", "HEAD"), Source(".[torch]", Path("part"))
    with checkouts.checkout(top, commit) as tree:
        checkouts.base_environment(tree, top, commit, source, QUIETLY)
        checkouts.base_environment(tree, top, commit, Source(".[torch]"), QUIETLY)
        assert [folder for folder, _ in installed] == [tree / "part", tree]
    (top / "gate.toml").write_text(ONE)
    with checkouts.head_environment(top, source, QUIETLY):
        assert installed[-1][0] == top / "part"


def test_submodules_are_there_when_pip_installs_or_it_is_told(git, installed, tmp_path, monkeypatch):
    """Git follows those of this test, which lie in the file system, only when it is told to."""
    top, call = git
    for name, value in (("COUNT", "1"), ("KEY_0", "protocol.file.allow"), ("VALUE_0", "always")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    part = tmp_path / "part"
    subprocess.run(["git", "clone", "-q", top, part], check=True)
    call("submodule", "--quiet", "add", str(part), "part")
    call("commit", "-qm", "two")
    commit = call("rev-parse", "HEAD")
    with checkouts.checkout(top, commit) as tree:
        checkouts.base_environment(tree, top, commit, Source("."), QUIETLY)
        assert (tree / "part" / "gate.toml").read_text() == TWO
    assert len(call("worktree", "list").splitlines()) == 1
    part.rename(tmp_path / "away")
    with checkouts.checkout(top, commit) as tree:
        lacking = checkouts.base_environment(tree, top, commit, Source(".[torch]"), QUIETLY)
    assert "base is without all of its submodules: git submodule failed" in lacking.cautions[0]
    with checkouts.head_environment(top, Source(".[torch]"), QUIETLY) as head:
        assert Path(head.python).parents[2] == Path(lacking.python).parents[2]
        assert head.python != lacking.python  # which a gate may be using
    (tmp_path / "away").rename(part)  # and what lacked them is not kept for the day
    with checkouts.checkout(top, commit) as tree:
        whole = checkouts.base_environment(tree, top, commit, Source(".[torch]"), QUIETLY)
    assert len(installed) == 4
    assert whole.python not in (lacking.python, head.python)


def test_where_in_its_repository_a_folder_is(git):
    top, _ = git
    (top / "a" / "b").mkdir(parents=True)
    assert checkouts.place_in_repository(top / "a" / "b") == Path("a/b")
    assert checkouts.place_in_repository(top) == Path()


def test_files_unknown_to_git_are_no_change_and_no_part_of_head(git, installed):
    top, call = git
    (top / "junit.xml").touch()
    (top / "new.py").touch()
    with checkouts.head_environment(top, Source("."), QUIETLY) as head:
        assert head.commit == call("rev-parse", "HEAD")
    ((folder, _),) = installed
    assert folder != top
    (caution,) = head.cautions
    assert "junit.xml and 1 more is unknown to git and no part of it" in caution


def test_benchmarks_that_only_the_commit_has_are_found(git):
    top, call = git
    (top / "gate.toml").write_text(ONE)
    with checkouts.checkout(top, call("rev-parse", "HEAD")) as tree:
        (gone,) = checkouts.vanished(read_suite(top / "gate.toml"), top, tree)
        assert (gone.name, gone.task) == ("b", "mlp")


@pytest.mark.parametrize(
    ("now", "gone"),
    [
        ('task = "cnn"', []),
        ('task = "cnn"\nthreads = 1\nseeds = 9', []),
        ('task = "mlp"', ["a"]),
        ('task = "cnn"\nset = { dropout = 0.3 }', ["a"]),
        ('task = "cnn"\nbatch_size = 7', ["a"]),
    ],
)
def test_other_work_under_a_name_hides_nothing(git, now, gone):
    top, _ = git
    file = top / "gate.toml"
    file.write_text(f'[benchmarks.a]\nbackend = "torch"\n{now}\n')
    before = {"a": {"backend": "torch", "task": "cnn", "max_slowdown": "9%"}}
    assert [one.name for one in checkouts.missing(read_suite(file), before)] == gone


def test_what_was_measured_outlives_a_worktree_that_cannot_be_removed(git, monkeypatch):
    top, call = git
    real = checkouts._git

    def unable(folder, *words):
        if words[:2] == ("worktree", "remove"):
            raise HarnessError("failed to delete: Permission denied")
        return real(folder, *words)

    monkeypatch.setattr(checkouts, "_git", unable)
    with checkouts.checkout(top, call("rev-parse", "HEAD")) as tree:
        measured = tree.exists()
    assert measured
    assert not tree.exists()


def test_a_gate_that_waits_for_another_says_so(git, installed):
    top, call = git
    said = []
    commit, source = call("rev-parse", "HEAD"), Source(".")
    file = checkouts._cached(top, commit, source).with_suffix(".lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.5, held.close).start()
        checkouts.base_environment(top, top, commit, source, said.append)
    assert [word for word in said if "waiting" in word] == said[:1]


def test_a_suite_that_is_found_first_hides_nothing_of_what_was_found_before(git):
    top, call = git
    (top / "sub").mkdir()
    table = '[tool.harness.gate.benchmarks.{}]\nbackend = "torch"\ntask = "cnn"\n'
    (top / "sub" / "pyproject.toml").write_text(table.format("old") + table.format("a"))
    call("add", "-A")
    call("commit", "-qm", "two")
    (top / "sub" / "gate.toml").write_text(ONE)
    suite = read_suite(top / "sub" / "gate.toml")
    with checkouts.checkout(top, call("rev-parse", "HEAD")) as tree:
        (gone,) = checkouts.vanished(suite, top, tree, Path("sub"))
        assert gone.name == "old"
        assert checkouts.vanished(suite, top, tree) is None  # it was asked for by name


def test_a_suite_beside_the_one_that_stayed_need_not_have_what_that_has(git, tmp_path):
    top, call = git
    for other in (top / "nightly.toml", tmp_path / "quick.toml"):
        other.write_text(ONE)
        with checkouts.checkout(top, call("rev-parse", "HEAD")) as tree:
            assert checkouts.vanished(read_suite(other), top, tree) is None


def test_what_base_asked_for_may_be_refused_today_and_still_vanishes(git):
    top, call = git
    (top / "gate.toml").write_text(ONE)
    with checkouts.checkout(top, call("rev-parse", "HEAD")) as tree:
        (tree / "gate.toml").write_text(TWO + "seeds = 1\nlater_key = true\n")
        (gone,) = checkouts.vanished(read_suite(top / "gate.toml"), top, tree)
    assert gone.name == "b"


def test_a_suite_that_was_moved_still_has_to_have_what_it_had(git, tmp_path):
    top, call = git
    (top / "gate.toml").unlink()
    for moved in (top / "ci" / "suite.toml", tmp_path / "outside.toml"):
        moved.parent.mkdir(exist_ok=True)
        moved.write_text(ONE)
        with checkouts.checkout(top, call("rev-parse", "HEAD")) as tree:
            (gone,) = checkouts.vanished(read_suite(moved), top, tree)
            assert gone.name == "b"


def test_a_suite_of_another_name_that_was_moved_is_found_by_git(git):
    top, call = git
    (top / "bench").mkdir()
    call("mv", "gate.toml", "bench/nightly.toml")
    call("commit", "-qam", "two")
    base = call("rev-parse", "HEAD")
    call("mv", "bench/nightly.toml", "bench/weekly.toml")
    (top / "bench" / "weekly.toml").write_text(ONE)
    with checkouts.checkout(top, base) as tree:
        (gone,) = checkouts.vanished(read_suite(top / "bench" / "weekly.toml"), top, tree)
        assert gone.name == "b"


def test_where_the_commit_has_no_suite_nothing_is_known(git):
    top, call = git
    suite = read_suite(top / "gate.toml")
    with checkouts.checkout(top, call("rev-parse", "HEAD")) as tree:
        (tree / "gate.toml").write_text("not = [toml")
        assert checkouts.vanished(suite, top, tree) is None


def test_a_cache_beside_the_project_is_meant_from_where_the_gate_is_called(git, installed, monkeypatch):
    top, call = git
    monkeypatch.chdir(top.parent)
    monkeypatch.setenv("HARNESS_CACHE_DIR", "beside")
    base = checkouts.base_environment(top, top, call("rev-parse", "HEAD"), Source("."), QUIETLY)
    assert Path(base.python).is_relative_to(top.parent / "beside")


def test_a_cache_that_cannot_be_written_is_refused_in_a_line(git, installed, monkeypatch):
    top, call = git
    (top.parent / "file").touch()
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(top.parent / "file"))
    with pytest.raises(UsageError, match=r"environments cannot be kept in .*: Not a directory; name another"):
        checkouts.base_environment(top, top, call("rev-parse", "HEAD"), Source("."), QUIETLY)


def test_what_is_no_repository_or_no_commit_is_refused(git, tmp_path):
    top, _ = git
    with pytest.raises(UsageError, match="no such commit here; in CI a branch is origin/nowhere"):
        checkouts.commit_of(top, "nowhere")
    with pytest.raises(UsageError, match="takes a git repository"):
        checkouts.repository(tmp_path)


def test_an_installation_that_fails_is_told_with_its_last_lines_and_not_taken_for_done(git):
    top, call = git
    commit = call("rev-parse", "HEAD")
    for _ in range(2):  # the second must not find what the first left
        with pytest.raises(HarnessError, match=r"pip install \. failed: .*not installable"):
            checkouts.base_environment(top, top, commit, Source("."), QUIETLY)
