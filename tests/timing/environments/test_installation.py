"""Environments made from a repository: real git, real virtual environments; only pip is replaced."""

import contextlib
import datetime
import fcntl
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.repository import ONE, TWO, add_commit
from support.wheels import PROJECT, write_wheel

from harness.core.machine.ownership import sweep
from harness.errors import HarnessError, UsageError
from harness.timing.environments import cache, git, installation, programs
from harness.timing.environments.commits import Source, base_environment, head_environment


class Told:
    """Follows an installation and keeps its activities."""

    def __init__(self):
        self.activities = []

    def doing(self, activity):
        self.activities.append(activity)

    def show(self, activity):
        pass


def folder_of(environment):
    return Path(environment.python).parents[1]


def base_of(tree, top, commit, source=".", progress=None):
    """The environment of a base whose checkout is a tree."""
    source = source if isinstance(source, Source) else Source(source)
    return base_environment(tree, top, commit, source, progress or Told())


def head_of(top, source=".", progress=None):
    source = source if isinstance(source, Source) else Source(source)
    return head_environment(top, source, progress or Told())


@pytest.fixture
def installed(monkeypatch):
    """What pip was asked to install from a checkout: its folder and the path. No dependency is."""
    made = []

    def output_of(command, folder, failure, *how):
        if command[1:4] == ["-P", "-m", "pip"]:
            if command[5] == "wheel":
                made.append((Path(folder), command[-1]))
                write_wheel(Path(command[-3]), "project")
            return ""
        if command[1:4] == ["-P", "-m", "venv"]:
            (Path(command[4]) / "bin").mkdir(parents=True)
            (Path(command[4]) / "pyvenv.cfg").touch()
            return ""
        return ours(command, folder, failure, *how)

    ours = programs.output_of
    monkeypatch.setattr(programs, "output_of", output_of)
    return made


def test_a_commit_is_installed_once_and_its_worktree_leaves_nothing(project, installed):
    top, call = project
    commit = git.commit_of(git.repository(top), "main")
    for _ in range(2):
        with git.checkout(top, commit) as tree:
            assert (tree / "gate.toml").read_text() == TWO
            base = base_of(tree, top, commit, ".[torch]")
            assert (base.label, base.commit) == ("base", commit)
        assert not tree.exists()
    assert [what for _, what in installed] == ["."]
    assert len(call("worktree", "list").splitlines()) == 1


def test_base_and_head_have_what_pip_finds_on_one_day(project, installed, monkeypatch):
    top, call = project
    commit = call("rev-parse", "HEAD")
    days = [1]
    monkeypatch.setattr(cache, "today", lambda: datetime.date(2026, 1, days[0]))
    first, second = (folder_of(base_of(top, top, commit)) for _ in range(2))
    days[0] = 2
    third = folder_of(base_of(top, top, commit))
    assert first == second != third
    assert len(installed) == 2
    assert first.is_dir()
    os.utime(first, (0, 0))
    days[0] = 3
    with head_of(top):
        assert (first.exists(), third.is_dir()) == (False, True)


def test_head_with_changes_is_installed_anew_has_no_commit_and_outlives_the_gate(project, installed):
    """For the commands that the gate suggests."""
    top, call = project
    with head_of(top) as head:
        assert head.commit == call("rev-parse", "HEAD")
    (top / "gate.toml").write_text(ONE)
    for _ in range(2):
        with head_of(top) as head:
            assert head.commit is None
    assert [folder == top for folder, _ in installed] == [False, True, True]
    assert folder_of(head).is_dir()


def test_a_project_below_the_top_is_installed_from_where_the_gate_is_called(project, installed):
    top, _ = project
    commit, source = add_commit(top, {"part/gate.toml": TWO}), Source(".[torch]", Path("part"))
    with git.checkout(top, commit) as tree:
        base_of(tree, top, commit, source)
        base_of(tree, top, commit, ".[torch]")
        assert [folder for folder, _ in installed] == [tree / "part", tree]
    (top / "gate.toml").write_text(ONE)
    with head_of(top, source):
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
        base_of(tree, top, commit)
        assert (tree / "part" / "gate.toml").read_text() == TWO
    assert len(call("worktree", "list").splitlines()) == 1
    part.rename(tmp_path / "away")
    with git.checkout(top, commit) as tree:
        lacking = base_of(tree, top, commit, ".[torch]")
    assert "submodules" in lacking.cautions[0]
    with head_of(top, ".[torch]") as head:
        assert folder_of(head).parent == folder_of(lacking).parent
        assert head.python != lacking.python  # which a gate may be using
    (tmp_path / "away").rename(part)  # and what lacked them is not kept for the day
    with git.checkout(top, commit) as tree:
        whole = base_of(tree, top, commit, ".[torch]")
    assert (len(installed), whole.cautions) == (4, [])
    assert whole.python not in (lacking.python, head.python)


def test_untracked_files_are_no_change_and_no_part_of_head(project, installed, snapshot):
    top, call = project
    (top / "junit.xml").touch()
    (top / "new.py").touch()
    with head_of(top) as head:
        assert head.commit == call("rev-parse", "HEAD")
    ((folder, _),) = installed
    assert folder != top
    assert [each.replace(head.commit[:12], "COMMIT") for each in head.cautions] == snapshot


def test_a_gate_that_waits_for_another_says_so(project, installed):
    top, call = project
    told, commit = Told(), call("rev-parse", "HEAD")
    venv = folder_of(base_of(top, top, commit))
    with venv.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.5, held.close).start()
        base_of(top, top, commit, progress=told)
    (activity,) = told.activities
    assert activity.startswith("waiting")
    assert str(venv) in activity


def test_a_relative_cache_folder_is_relative_to_the_current_folder(project, installed, monkeypatch):
    top, call = project
    monkeypatch.chdir(top.parent)
    monkeypatch.setenv("HARNESS_CACHE_DIR", "beside")
    base = base_of(top, top, call("rev-parse", "HEAD"))
    assert Path(base.python).is_relative_to(top.parent / "beside")


def test_a_cache_that_cannot_be_written_is_refused_in_a_line(project, installed, monkeypatch):
    top, call = project
    (top.parent / "file").touch()
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(top.parent / "file"))
    with pytest.raises(UsageError, match=r"Not a directory; set HARNESS_CACHE_DIR"):
        base_of(top, top, call("rev-parse", "HEAD"))


@pytest.mark.slow
def test_an_installation_that_fails_is_reported_and_not_taken_for_complete(project):
    top, call = project
    for _ in range(2):  # the second must not find what the first left
        with pytest.raises(HarnessError, match=r"pip install \. failed: .*not installable"):
            base_of(top, top, call("rev-parse", "HEAD"))


# With the real pip: a project that builds itself, and dependencies in a folder.


@pytest.fixture
def commits(project, tmp_path, monkeypatch):
    """A repository with three commits of a package: the last one declares another dependency."""
    top, _ = project
    leaf = {
        "leaf.py": "import sys\ndef main():\n    print(sys.prefix)\n" + "#" * 100_000,
        "leaf-1.dist-info/entry_points.txt": "[console_scripts]\nwhich = leaf:main\n",
    }
    write_wheel(tmp_path / "index", "leaf", leaf)
    write_wheel(tmp_path / "index", "other", {"other.py": ""})
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", tmp_path / "index"), ("CONFIG_FILE", os.devnull)):
        monkeypatch.setenv(f"PIP_{name}", str(value))
    found = []
    for version, needs in enumerate(("leaf", "leaf", "leaf other")):
        files = {**PROJECT, "own/__init__.py": f"VERSION = {version}\n", "needs.txt": needs}
        found.append(add_commit(top, files, str(version)))
    return top, found


def environment(top, commit):
    with git.checkout(top, commit) as tree:
        return folder_of(base_of(tree, top, commit))


def file_of(venv, name):
    (file,) = venv.glob(f"lib/python*/site-packages/{name}")
    return file


@pytest.mark.slow
def test_commits_share_what_they_declare_alike_and_have_their_own_code(commits, tmp_path):
    top, (first, second, third) = commits
    with ThreadPoolExecutor(2) as pool:  # two gates at once
        one, two = pool.map(lambda commit: environment(top, commit), (first, second))
    three = environment(top, third)
    for version, venv in enumerate((one, two, three)):
        code = "import own, leaf; print(own.VERSION)"
        assert subprocess.check_output([venv / "bin" / "python", "-c", code], text=True) == f"{version}\n"
        assert subprocess.check_output([venv / "bin" / "which"], text=True) == f"{venv}\n"
    assert file_of(one, "leaf.py").samefile(file_of(two, "leaf.py"))
    assert not file_of(one, "leaf.py").samefile(file_of(three, "leaf.py"))
    assert file_of(three, "other.py")
    # One with pip alone, which builds packages, and one for each set of dependencies.
    made = (tmp_path / "cache" / "environments").glob("*/")
    assert sorted(path.name.partition("-")[0] for path in made) == ["dependencies"] * 3 + ["package"] * 3
    sizes = cache.environments_in_cache()
    separately = sum(file.lstat().st_size for venv in (one, two, three) for file in venv.rglob("*"))
    assert (sizes.unused, sizes.kept) == ([], 6)
    assert sizes.kept_bytes < 0.6 * separately
    os.utime(one, (0, 0))
    (leftover,) = cache.environments_in_cache().unused
    assert leftover.path == one
    assert leftover.size_bytes < separately / 12  # the package and folders: what others use stays
    leftover.remove()
    assert file_of(two, "leaf.py").stat().st_size > 100_000


@pytest.mark.long
def test_requirements_alone_make_an_environment_that_packages_share(commits):
    top, (first, *_) = commits
    told = Told()
    with installation.environment_of(["leaf==1"], label="leaf 1", progress=told) as installed:
        assert file_of(folder_of(installed), "leaf.py")
    assert len(told.activities) == 1
    with (
        pytest.raises(HarnessError, match=r"^leaf 2: pip install leaf==2 failed: .*leaf==2"),
        installation.environment_of(["leaf==2"], label="leaf 2", progress=told),
    ):
        pass
    with git.checkout(top, first) as tree:
        package = installation.Package(
            ".", ("here", first), lambda: contextlib.nullcontext(installation.Checkout(tree))
        )
        with installation.environment_of(["other"], package, label="both", progress=told) as both:
            assert all(file_of(folder_of(both), name) for name in ("own", "leaf.py", "other.py"))


@pytest.mark.parametrize(
    "where",
    [pytest.param("dependencies", marks=pytest.mark.long), pytest.param("package", marks=pytest.mark.slow)],
)
def test_an_installation_that_is_killed_halfway_is_made_again(commits, tmp_path, where):
    top, (first, *_) = commits
    at = {"dependencies": "installing the dependencies of base", "package": "installing base"}[where]
    program = f"""
import os, signal, pathlib
from harness.timing.environments.commits import Source, base_environment
class Killed:
    def doing(self, activity):
        self.armed = activity.startswith({at!r})
    def show(self, activity):
        if self.armed:
            os.kill(os.getpid(), signal.SIGKILL)
top = pathlib.Path({str(top)!r})
base_environment(top, top, {first!r}, Source("."), Killed())
"""
    subprocess.run(["git", "-C", top, "checkout", "-q", first], check=True)
    (tmp_path / "temporary").mkdir()
    variables = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    killed = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    venv = environment(top, first)
    assert file_of(venv, "own").is_dir()
    assert file_of(venv, "leaf.py")
    assert not list((tmp_path / "cache" / "environments").glob("wheel-*"))
    sweep(tmp_path / "temporary")
    assert not list((tmp_path / "temporary").iterdir())  # of pip, too
