"""Bisections of a small repository, in real processes; what is searched, kept, gone on with and refused."""

import json
import subprocess

import pytest

from harness.bisect.places import released
from harness.errors import HarnessError

BENCH = "from pkg import work\ndef make_step(size=20_000):\n    return lambda: work(size)\n"
#: ``slower`` from commit 5 on, other values from commit 9 on; commit 6 does not run.
COMMITS = 12


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    top = tmp_path_factory.mktemp("repository")

    def git(*arguments):
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=top, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    (top / "pkg").mkdir()
    for number in range(COMMITS):
        rounds = 1 if number < 5 else 3
        factor = 1.0 if number < 9 else 1.1
        text = f"def work(size):\n    for _ in range({rounds}):\n        total = sum(range(size))\n"
        text += f"    return total * {factor}  # {number}\n"
        (top / "pkg" / "__init__.py").write_text("1 / 0\n" + text if number == 6 else text)
        git("add", "-A")
        git("commit", "-qm", f"change {number}")
        if number == 0:
            git("tag", "v1")
    (top / "tasks.toml").write_text('[benchmarks.task]\nbackend = "torch"\ntask = "mlp"\n')
    (top / "bench.py").write_text(BENCH)  # untracked: no commit has it
    return top


@pytest.fixture
def bisect(harness, repository, monkeypatch, tmp_path):
    monkeypatch.setattr(harness, "folder", repository)
    usual = ("--threads", "1", "--results", str(tmp_path), "--format", "json")

    def call(*options):
        done = harness("bisect", *options, *usual)
        return done, json.loads(done.stdout) if done.stdout else None

    return call


def test_the_commit_that_changed_the_values_is_named(bisect):
    done, record = bisect("--good", "v1", "--step", "bench.py:make_step", "--metric", "values")
    assert done.returncode == 0, done.stderr
    assert record["outcome"] == "culprit"
    titles = [candidate["title"] for candidate in record["candidates"]]
    assert titles == [f"change {number}" for number in range(COMMITS)]
    same = {each["candidate"]: each["is_same"] for each in record["returned"]}
    assert (same[8], same[9]) == (True, False)
    assert "differ from call 1 on" in next(e["difference"] for e in record["returned"] if e["candidate"] == 9)


@pytest.mark.slow
def test_the_commit_that_became_slower_is_named_and_confirmed(bisect, harness, tmp_path):
    done, record = bisect("--good", "v1", "--step", "bench.py:make_step", "--turns", "6")
    assert done.returncode == 0, done.stderr
    assert record["outcome"] == "culprit"
    assert all(log > 0.5 for log in record["confirmation"])
    shown = harness("show", record["id"], "--results", str(tmp_path))
    # Commit 6 cannot be run, so the culprit may only be named together with it.
    assert "The culprit is " in shown.stdout
    assert "(change 5)" in shown.stdout


def test_an_undecided_search_is_gone_on_with(bisect):
    options = ("--good", "v1", "--step", "bench.py:make_step", "--turns", "2")
    done, first = bisect(*options, "--budget", "1s")
    assert (done.returncode, first["outcome"]) == (3, "undecided")
    again, second = bisect(*options, "--budget", "4s")
    assert second["id"] == first["id"]
    assert second["probes"][: len(first["probes"])] == first["probes"]
    assert len(second["probes"]) > len(first["probes"])
    assert f"going on with {first['id']}" in again.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--good", "v1"), "give either --step"),
        (("--good", "v9", "--step", "bench.py:make_step"), "--good v9: no such commit"),
        (("--good", "HEAD", "--step", "bench.py:make_step"), "are the same"),
        (("--good", "HEAD", "--bad", "v1", "--step", "bench.py:make_step"), "no row of commits"),
        (("--good", "v1", "--step", "nothing"), "give FILE.py:CALLABLE"),
        (("--good", "v1", "--benchmark", "train"), "gate.toml"),
        (("--good", "2.6", "--package", "torch", "--step", "bench.py:make_step"), "needs --bad VERSION"),
        (
            ("--good", "v1", "--install", "numpy", "--step", "bench.py:make_step"),
            "is for --package",
        ),
        (("--good", "v1", "--benchmark", "task", "--suite", "tasks.toml"), "give --source"),
        (("--good", "v1", "--step", "bench.py:absent"), "there is no callable 'absent'"),
    ],
)
def test_wrong_input_is_refused_in_a_line(bisect, options, text):
    done, record = bisect(*options)
    assert (done.returncode, record) == (2, None)
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_the_releases_are_those_that_pip_lists(monkeypatch):
    listing = "torch (2.9.0)\nAvailable versions: 2.9.0, 2.8.0+cpu, 2.8.0, 2.7.0rc1, 2.6.0, bad\n"
    monkeypatch.setattr("harness.gate.commands.output_of", lambda *_: listing)
    assert [str(version) for version in released("torch")] == ["2.9.0", "2.8.0", "2.6.0"]


def test_a_package_that_pip_does_not_know_is_named():
    with pytest.raises(HarnessError, match="pip finds no versions of no-such-package-anywhere"):
        released("no-such-package-anywhere")
