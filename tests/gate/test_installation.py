"""Environments made from a repository: real git, real virtual environments; only pip is replaced."""

import contextlib
import datetime
import fcntl
import os
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.repository import ONE, TWO

from harness.errors import HarnessError, UsageError
from harness.gate import environments, git, installation
from harness.gate.environments import Source


class Told:
    """Follows an installation and keeps its activities."""

    def __init__(self):
        self.activities = []

    def doing(self, activity):
        self.activities.append(activity)

    def show(self, activity):
        pass


QUIETLY = Told()


def write_wheel(folder, name, files=(), requires=(), version="1"):
    """A wheel of files and their contents."""
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    metadata += [f"Requires-Dist: {each}\n" for each in requires]
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = f"{name}-{version}.dist-info"
    files = {**dict(files), f"{info}/METADATA": "".join(metadata), f"{info}/WHEEL": tags}
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"]))


@pytest.fixture
def installed(monkeypatch):
    """What pip was asked to install from a checkout: its folder and the path. No dependency is."""
    made = []

    def output_of(command, folder, failure, *how):
        if command[1:4] == ["-P", "-m", "pip"]:
            if command[5] == "wheel":
                made.append((Path(folder), command[-1]))
                write_wheel(Path(command[-2]), "project")
            return ""
        if command[1:4] == ["-P", "-m", "venv"]:
            (Path(command[4]) / "bin").mkdir(parents=True)
            (Path(command[4]) / "pyvenv.cfg").touch()
            return ""
        return ours(command, folder, failure, *how)

    ours = git.output_of
    monkeypatch.setattr(git, "output_of", output_of)
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
    assert [what for _, what in installed] == ["."]
    assert len(call("worktree", "list").splitlines()) == 1


def test_base_and_head_have_what_pip_finds_on_one_day(project, installed, monkeypatch):
    top, call = project
    commit = call("rev-parse", "HEAD")
    days = [1]
    monkeypatch.setattr(installation, "today", lambda: datetime.date(2026, 1, days[0]))

    def made():
        return Path(environments.base_environment(top, top, commit, Source("."), QUIETLY).python).parents[1]

    first, second = made(), made()
    days[0] = 2
    third = made()
    assert first == second != third
    assert len(installed) == 2
    assert first.is_dir()
    os.utime(first, (0, 0))
    days[0] = 3
    with environments.head_environment(top, Source("."), QUIETLY):
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
    told, commit, source = Told(), call("rev-parse", "HEAD"), Source(".")
    venv = Path(environments.base_environment(top, top, commit, source, QUIETLY).python).parents[1]
    with venv.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.5, held.close).start()
        environments.base_environment(top, top, commit, source, told)
    assert told.activities == [f"waiting for another command that uses {venv}"]


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


# With the real pip: a project that builds itself, and dependencies in a folder.

BACKEND = """
import pathlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    info, here = "own-1.dist-info", pathlib.Path(__file__).parent
    needs = (here / "needs.txt").read_text().split()
    files = {
        "own.py": (here / "own.py").read_text(),
        info + "/METADATA": "Metadata-Version: 2.1\\nName: own\\nVersion: 1\\n"
        + "".join(f"Requires-Dist: {each}\\n" for each in needs),
        info + "/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = "".join(f"{name},,\\n" for name in [*files, info + "/RECORD"])
    with zipfile.ZipFile(f"{folder}/own-1-py3-none-any.whl", "w") as archive:
        for name, content in {**files, info + "/RECORD": record}.items():
            archive.writestr(name, content)
    return "own-1-py3-none-any.whl"
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@pytest.fixture
def commits(project, tmp_path, monkeypatch):
    """A repository with three commits of a package: the last one declares another dependency."""
    top, call = project
    leaf = {
        "leaf.py": "import sys\ndef main():\n    print(sys.prefix)\n" + "#" * 100_000,
        "leaf-1.dist-info/entry_points.txt": "[console_scripts]\nwhich = leaf:main\n",
    }
    write_wheel(tmp_path / "index", "leaf", leaf)
    write_wheel(tmp_path / "index", "other", {"other.py": ""})
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", tmp_path / "index"), ("CONFIG_FILE", os.devnull)):
        monkeypatch.setenv(f"PIP_{name}", str(value))
    (top / "backend.py").write_text(BACKEND)
    (top / "pyproject.toml").write_text(PYPROJECT)
    found = []
    for version, needs in enumerate(("leaf", "leaf", "leaf other")):
        (top / "own.py").write_text(f"VERSION = {version}\n")
        (top / "needs.txt").write_text(needs)
        call("add", "-A")
        call("commit", "-qm", str(version))
        found.append(call("rev-parse", "HEAD"))
    return top, found


def environment(top, commit, progress=QUIETLY):
    with git.checkout(top, commit) as tree:
        return Path(environments.base_environment(tree, top, commit, Source("."), progress).python).parents[1]


def file_of(venv, name):
    (file,) = venv.glob(f"lib/python*/site-packages/{name}.py")
    return file


def made_in(cache):
    return sorted(path.name.partition("-")[0] for path in (cache / "environments").glob("*/"))


@pytest.mark.slow
def test_commits_share_what_they_declare_alike_and_have_their_own_code(commits, tmp_path):
    top, (first, second, third) = commits
    with ThreadPoolExecutor(2) as pool:  # two gates at once
        one, two = pool.map(lambda commit: environment(top, commit), (first, second))
    three = environment(top, third)
    for version, venv in enumerate((one, two, three)):
        found = subprocess.run(
            [venv / "bin" / "python", "-c", "import own, leaf; print(own.VERSION)"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout == f"{version}\n"
        where = subprocess.run([venv / "bin" / "which"], capture_output=True, text=True, check=True)
        assert where.stdout == f"{venv}\n"
    assert file_of(one, "leaf").samefile(file_of(two, "leaf"))
    assert not file_of(one, "leaf").samefile(file_of(three, "leaf"))
    assert file_of(three, "other")
    # One with pip alone, which builds packages, and one for each set of dependencies.
    assert made_in(tmp_path / "cache") == ["dependencies"] * 3 + ["package"] * 3
    sizes = installation.environments_in_cache()
    separately = sum(file.lstat().st_size for venv in (one, two, three) for file in venv.rglob("*"))
    assert (sizes.old, sizes.kept) == ([], 6)
    assert sizes.kept_bytes < 0.6 * separately
    os.utime(one, (0, 0))
    (leftover,) = installation.environments_in_cache().old
    assert leftover.path == one
    assert leftover.size_bytes < separately / 12  # the package and folders: what others use stays
    leftover.remove()
    assert file_of(two, "leaf").stat().st_size > 100_000


@pytest.mark.slow
def test_requirements_alone_make_an_environment_that_packages_share(commits):
    top, (first, *_) = commits
    told = Told()
    with installation.environment_of(["leaf==1"], label="leaf 1", progress=told) as installed:
        assert file_of(installed.python.parents[1], "leaf")
    assert told.activities == ["installing the dependencies of leaf 1"]
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
            assert all(file_of(both.python.parents[1], name) for name in ("own", "leaf", "other"))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["dependencies", "package"])
def test_an_installation_that_is_killed_halfway_is_made_again(commits, tmp_path, where):
    top, (first, *_) = commits
    at = {"dependencies": "installing the dependencies of base", "package": "installing base"}[where]
    program = f"""
import os, signal, pathlib
from harness.gate import environments, git, installation
from harness.gate.environments import Source
class Killed:
    def doing(self, activity):
        self.armed = activity.startswith({at!r})
    def show(self, activity):
        if self.armed:
            os.kill(os.getpid(), signal.SIGKILL)
top = pathlib.Path({str(top)!r})
environments.base_environment(top, top, {first!r}, Source("."), Killed())
"""
    subprocess.run(["git", "-C", top, "checkout", "-q", first], check=True)
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    venv = environment(top, first)
    assert file_of(venv, "own")
    assert file_of(venv, "leaf")
    left = [path.name for path in (tmp_path / "cache" / "environments").glob("wheel-*")]
    assert len(left) == 1  # `harness clean` removes it another day
