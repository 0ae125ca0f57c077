"""Bisections of a small repository, in real processes; what is searched, kept, gone on with and refused."""

import contextlib
import json
import re
import subprocess
from unittest.mock import ANY

import msgspec
import pytest
from support.outline import outline
from support.repository import add_commit, git
from support.wheels import PROJECT

from harness.core.documents.numbers import NOTHING
from harness.core.documents.render.terminal import terminal_text
from harness.core.machine.description import describe_machine
from harness.core.machine.processes import this_process
from harness.core.shell.console import LiveLine
from harness.errors import HarnessError, UsageError
from harness.timing.bisect.page import bisect_document
from harness.timing.bisect.places import Commits, released
from harness.timing.bisect.record import BISECTIONS, BisectRecord, Candidate, Probe
from harness.timing.bisect.runner import unfinished
from harness.timing.environments.environment import Environment, step_of
from harness.timing.environments.suite import Benchmark

BENCH = "from pkg import work\ndef make_step(size=20_000):\n    return lambda: work(size)\n"
#: Slower from commit 3 on, other values from commit 5 on; commit 4 does not run.
COMMITS = 7


def committed(top, *commits):
    """A repository with a commit for each of these tables of files; what follows is not committed."""
    for number, files in enumerate(commits):
        add_commit(top, files, f"change {number}")
        if number == 0:
            git(top, "tag", "v1")
    (top / "tasks.toml").write_text('[benchmarks.task]\nbackend = "torch"\ntask = "mlp"\n')
    (top / "bench.py").write_text(BENCH)  # untracked: no commit has it
    return top


def _package(number):
    rounds = 1 if number < 3 else 3
    factor = 1.0 if number < 5 else 1.1
    text = f"def work(size):\n    for _ in range({rounds}):\n        total = sum(range(size))\n"
    text += f"    return total * {factor}  # {number}\n"
    return {"pkg/__init__.py": "1 / 0\n" + text if number == 4 else text}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return committed(tmp_path_factory.mktemp("repository"), *map(_package, range(COMMITS)))


@pytest.fixture
def bisect(harness, tmp_path):
    """Calls the command in a repository; what it printed, and its record."""
    usual = ("--threads", "1", "--results", str(tmp_path / "results"), "--format", "json")

    def call(top, *options, code=0, **variables):
        harness.folder = top
        done = harness("bisect", *options, *usual, **variables)
        assert done.returncode == code, done.stderr
        return done, json.loads(done.stdout) if done.stdout else None

    return call


STEP = ("--good", "v1", "--step", "bench.py:make_step")
VALUES = (*STEP, "--metric", "values")


def test_the_commit_that_changed_the_values_is_named(bisect, repository):
    _, record = bisect(repository, *VALUES)
    assert record["outcome"] == "culprit"
    titles = [candidate["title"] for candidate in record["candidates"]]
    assert titles == [f"change {number}" for number in range(COMMITS)]
    same = {each["candidate"]: each["is_same"] for each in record["returned"]}
    assert (same[3], same[5]) == (True, False)
    assert "call 1" in next(e["difference"] for e in record["returned"] if e["candidate"] == 5)


@pytest.mark.slow
def test_the_commit_that_became_slower_is_named_and_confirmed(bisect, repository, harness, tmp_path):
    _, record = bisect(repository, *STEP, "--turns", "6")
    assert record["outcome"] == "culprit"
    assert all(log > 0.5 for log in record["confirmation"])
    shown = harness("show", record["id"], "--results", str(tmp_path / "results"))
    # Commit 4 cannot be run, so the culprit may only be named together with it.
    assert "The culprit is " in shown.stdout
    assert "(change 3)" in shown.stdout


@pytest.mark.slow
def test_an_undecided_search_is_gone_on_with(bisect, repository):
    _, first = bisect(repository, *STEP, "--turns", "2", "--budget", "1s", code=3)
    again, second = bisect(repository, *STEP, "--turns", "2", "--budget", "4s", code=ANY)
    assert (first["outcome"], second["id"]) == ("undecided", first["id"])
    assert second["probes"][: len(first["probes"])] == first["probes"]
    assert len(second["probes"]) > len(first["probes"])
    assert f"going on with {first['id']}" in again.stderr


def _returns(value):
    return {"pkg/__init__.py": f"def work(size):\n    return {value}\n"}


@pytest.mark.long
def test_commits_that_lack_the_package_or_hang_are_skipped(bisect, tmp_path):
    lacking = {"pkg/__init__.py": None, "other.py": "1\n"}
    hanging = {"pkg/__init__.py": "import time\ndef work(size):\n    time.sleep(60)\n"}
    commits = (_returns(1), lacking, hanging, _returns(2), _returns(2) | {"other.py": None})
    _, record = bisect(committed(tmp_path / "top", *commits), *VALUES, "--timeout", "2s")
    assert record["outcome"] == "culprit"
    reasons = {each["candidate"]: each["reason"] for each in record["skipped"]}
    assert ("needs pkg" in reasons[1], "within 2 s" in reasons[2]) == (True, True)


def test_the_code_of_the_working_tree_is_not_taken_for_that_of_commits(bisect, tmp_path, snapshot):
    """As with an editable installation, of which no commit takes the place."""
    beneath = {f"python/{name}": text for name, text in _returns(2).items()}
    top = committed(tmp_path / "top", {"python/pkg/__init__.py": "def work(size): return 1\n"}, beneath)
    done, record = bisect(top, *VALUES, code=2, PYTHONPATH=str(top / "python"))
    assert (record, done.stderr.splitlines()[-1]) == (None, snapshot)


def test_a_step_that_imports_nothing_of_its_commit_is_refused(bisect, tmp_path, snapshot):
    top = committed(tmp_path / "top", _returns(1), _returns(2))
    (top / "bench.py").write_text("def make_step():\n    return lambda: 1\n")
    done, record = bisect(top, *VALUES, code=2)
    assert (record, done.stderr.splitlines()[-1]) == (None, snapshot)


@pytest.mark.long
def test_what_was_built_of_a_commit_is_imported_and_not_its_checkout(bisect, tmp_path):
    """Its wheel has a module that its repository lacks, as one with a compiled extension has."""
    files = {**PROJECT, "own/__init__.py": "from own.built import VALUE\ndef work(size):\n    return VALUE\n"}
    top = committed(tmp_path / "top", files | {"value": "1"}, {"value": "2"})
    (top / "bench.py").write_text(BENCH.replace("pkg", "own"))
    cache = str(tmp_path / "cache")
    assert bisect(top, *VALUES, "--source", ".", HARNESS_CACHE_DIR=cache)[1]["outcome"] == "culprit"


def test_a_title_need_not_be_utf_8(tmp_path, monkeypatch):
    top = committed(tmp_path / "top", _returns(1))
    monkeypatch.chdir(top)

    def git(*arguments, given=b""):
        return subprocess.run(
            ["git", *arguments], input=given, capture_output=True, check=True
        ).stdout.strip()

    commit = git("cat-file", "commit", "HEAD").replace(b"change 0", b"caf\xe9")
    commit = commit.replace(b"author", b"parent " + git("rev-parse", "HEAD") + b"\nauthor", 1)
    latin = git("hash-object", "-w", "-t", "commit", "--stdin", given=commit + b"\n").decode()
    with contextlib.ExitStack() as stack:
        commits = Commits(Benchmark(name="step", step="bench.py:make_step"), stack, LiveLine(quiet=True))
        assert [each.title for each in commits.candidates("v1", latin)] == ["change 0", "caf\ufffd"]


def test_the_limits_of_a_benchmark_hold_for_its_values(harness, tmp_path):
    top = committed(tmp_path / "top", _returns(1.0), _returns(1.01))
    (top / "gate.toml").write_text('[benchmarks.own]\nstep = "bench.py:make_step"\ntolerance = 0.1\n')
    harness.folder = top
    options = ("--benchmark", "own", "--metric", "values", "--results", str(tmp_path / "results"))
    done = harness.ok("bisect", "--good", "v1", *options)
    assert "No difference" in done.stdout
    assert "same values\n" in done.stderr
    (path,) = BISECTIONS.paths(tmp_path / "results")
    assert f"harness report {path.stem} " in done.stdout  # "last" may be another record


def version_record(**fields):
    return BisectRecord(
        id="20260131-235959-123-bisection-3f2a",
        started_at="2026-01-31T23:59:59+00:00",
        command=[],
        machine=describe_machine(),
        kind="version",
        metric="step",
        probes=[Probe(candidate=1, log_ratio=log) for log in (0.2, 0.21, 0.19, 0.2)],
        benchmark=Benchmark(name="step", step="bench.py:make_step"),
        same_within=0.02,
        probability=0.95,
        candidates=[Candidate("0.5.3"), Candidate("0.6.0")],
        packages=["jax", "jaxlib"],
        file="0a",
        **fields,
    )


@pytest.mark.parametrize(
    "confirmation", [[0.2, 0.21, 0.19, 0.2], [0.0, 0.01, -0.01, 0.0], []], ids=["same", "other", "none"]
)
def test_a_result_says_whether_the_candidate_before_the_culprit_confirms_it(confirmation, snapshot):
    record = version_record(status="ok", outcome="culprit", confirmation=confirmation)
    assert terminal_text(bisect_document(record), 100) == snapshot


def test_nothing_is_the_culprit_where_there_is_no_difference():
    document = bisect_document(version_record(status="ok", outcome="no difference"))
    assert "Probabilities" not in outline(document)
    (row,) = [line for line in terminal_text(document).splitlines() if line.startswith("0.6.0")]
    assert row.endswith(NOTHING)


def test_a_search_of_a_killed_process_is_gone_on_with_and_one_that_runs_is_left_alone(tmp_path):
    folder = tmp_path / BISECTIONS.folder
    running = version_record(process=this_process())
    path = BISECTIONS.save(running, folder)
    with pytest.raises(UsageError, match=r"process \d+ on .* is searching the same"):
        unfinished(folder, running)
    BISECTIONS.save(version_record(process=msgspec.structs.replace(this_process(), start="before")), folder)
    assert unfinished(folder, running) is not None
    assert "its process was killed" in terminal_text(bisect_document(BISECTIONS.read(path)))


@pytest.mark.parametrize(
    "change",
    [
        {"packages": ["jax"]},
        {"installed": ["numpy"]},
        {"file": "0b"},
        {"own_file": True},
        {"same_within": 0.05},
    ],
)
def test_only_a_search_for_the_same_is_gone_on_with(tmp_path, change):
    made = version_record()
    folder = tmp_path / BISECTIONS.folder
    BISECTIONS.save(made, folder)
    assert unfinished(folder, made) is not None
    assert unfinished(folder, msgspec.structs.replace(made, **change)) is None


@pytest.mark.parametrize(
    "line",
    [
        "--good v1",
        "--good v9 --step bench.py:make_step",
        "--good HEAD --step bench.py:make_step",
        "--good HEAD --bad v1 --step bench.py:make_step",
        "--good v1 --step nothing",
        "--good v1 --step bench.py:absent",
        "--good v1 --benchmark train",
        "--good v1 --benchmark task --suite tasks.toml",
        "--good v1 --benchmark task --with size=3",
        "--good v1 --install numpy --step bench.py:make_step",
        "--good 2.6 --package torch --step bench.py:make_step",
    ],
)
def test_wrong_input_is_refused_in_a_line(quick, repository, monkeypatch, snapshot, line):
    monkeypatch.chdir(repository)
    done = quick("bisect", *line.split(), "--threads", "1", "--results", str(quick.folder))
    assert (done.returncode, done.stdout) == (2, "")
    assert re.sub(r"\b[0-9a-f]{12}\b", "COMMIT", done.stderr) == snapshot


def test_the_releases_are_those_that_pip_lists(monkeypatch):
    listing = "torch (2.9.0)\nAvailable versions: 2.9.0, 2.8.0+cpu, 2.8.0, 2.7.0rc1, 2.6.0, bad\n"
    monkeypatch.setattr("harness.timing.environments.programs.output_of", lambda *_: listing)
    assert [str(version) for version in released("torch")] == ["2.9.0", "2.8.0", "2.6.0"]


def test_a_package_that_pip_does_not_know_is_named():
    with pytest.raises(HarnessError, match="pip finds no versions of no-such-package-anywhere"):
        released("no-such-package-anywhere")


OWN = "def make_step():\n    return lambda: {}\n"


def test_each_commit_runs_its_own_file_of_the_step_unless_own_file_is_given(bisect, tmp_path, snapshot):
    commits = (
        {"bench.py": OWN.format(1.0)},
        {"bench.py": OWN.format(1.0) + "#\n"},
        {"bench.py": OWN.format(2)},
    )
    top = tmp_path / "top"
    for number, files in enumerate(commits):
        add_commit(top, files, f"change {number}")
    options = ("--good", "HEAD~2", "--step", "bench.py:make_step", "--metric", "values")
    _, record = bisect(top, *options)
    assert (record["outcome"], record["own_file"]) == ("culprit", False)
    assert {each["candidate"]: each["is_same"] for each in record["returned"]} == {1: True, 2: False}
    done, none = bisect(top, *options, "--own-file", code=2)
    assert (none, done.stderr.splitlines()[-1]) == (None, snapshot)


def test_a_commit_without_the_file_runs_that_of_the_working_tree(tmp_path):
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both.py").touch()
    (tmp_path / "new" / "later.py").touch()
    head = Environment(label="head", python="python", folder=str(tmp_path / "new"))
    base = msgspec.structs.replace(head, label="base", folder=str(tmp_path / "old"))
    only = msgspec.structs.replace(base, files=(head.folder,))

    def target(environment, step):
        return step_of(environment, Benchmark(name="step", step=step), head).target

    cases = [(base, "both", "old", False), (base, "later", "new", True), (base, "none", "new", True)]
    cases += [(only, "both", "new", False), (only, "later", "new", True), (head, "later", "new", False)]
    for environment, name, folder, lacks in cases:
        made = target(environment, f"{name}.py:make")
        assert (made.file, made.lacks_file) == (tmp_path / folder / f"{name}.py", lacks)
    assert target(base, "package.module:make").code_folder is None
