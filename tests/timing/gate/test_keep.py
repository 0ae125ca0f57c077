"""``--keep``: records on a branch, from parallel jobs, with nothing that is checked out touched."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import script
from support.made_gates import fixed_gates, made_benchmark, made_gate, save
from support.repository import add_commit, git

from harness.core.documents.contents import SourceFile, source_path
from harness.errors import UsageError
from harness.timing.gate.keep import RecordBranch
from harness.timing.gate.record import GATES

#: Keeps the gates with these numbers, one after the other; prints what was stated of each.
JOB = """
import sys
from pathlib import Path
from harness.timing.gate.keep import RecordBranch
from harness.timing.gate.record import GATES
branch, results = RecordBranch(Path(sys.argv[1]), "records"), Path(sys.argv[2])
branch.check()
for path in sys.argv[3:]:
    print(branch.keep(GATES, GATES.read(Path(path)), results, "gate: PASS"), flush=True)
"""


@pytest.fixture
def remote(tmp_path):
    """A bare repository with a commit on main."""
    add_commit(tmp_path / "first", {"model.py": "RATE = 0.01\n", ".gitignore": "results/\n"})
    git(tmp_path / "first", "clone", "-q", "--bare", ".", str(tmp_path / "remote"))
    return tmp_path / "remote"


@pytest.fixture
def clone(remote, tmp_path):
    def make(name, *options):
        git(tmp_path, "clone", "-q", *options, f"file://{remote}", name)
        return tmp_path / name

    return make


def gates(folder, *numbers):
    """Records of gates in ``folder``, and their files."""
    records = [made_gate(made_benchmark(), number=number) for number in numbers]
    return records, save(folder, *records)


def kept(branch, folder, *numbers):
    """What is stated of each of these gates, which are kept one after the other."""
    records, _ = gates(folder, *numbers)
    return [branch.keep(GATES, record, folder / "results", f"gate {record.id}") for record in records]


def names(repository, tip="records"):
    return git(repository, "ls-tree", "-r", "--name-only", tip).splitlines()


def gates_on(repository, tip="records"):
    return [name for name in names(repository, tip) if name.startswith("gates/")]


def test_a_new_branch_has_the_record_its_sources_and_no_code(clone):
    work = clone("work")
    (record,), (path,) = gates(work, 1)
    content = b"def make():\r\n    return None  # \xe9\n"
    digest = hashlib.sha256(content).hexdigest()
    source_path(work / "results", digest).parent.mkdir()
    source_path(work / "results", digest).write_bytes(content)
    record.sources = [
        SourceFile("bench.py", digest, len(content)),
        SourceFile("big.py", "f" * 64, 9, kept=False),
    ]
    branch = RecordBranch(work, "records")
    branch.check()
    outcome = branch.keep(GATES, record, work / "results", "gate: PASS")
    assert (outcome.failure, outcome.remote) == ("", "origin")
    for repository in (work, work.parent / "remote"):
        assert git(repository, "rev-parse", "records") == outcome.commit
        assert git(repository, "rev-list", "--count", "records") == "1"  # shares no commit with main
    own = [".gitattributes", ".harness-records", "README.md"]
    assert names(work) == [*own, f"gates/{record.id}.json", f"sources/{digest}.py"]
    for name, stored in ((f"gates/{record.id}.json", path.read_bytes()), (f"sources/{digest}.py", content)):
        shown = subprocess.run(
            ["git", "-C", work, "show", f"records:{name}"], capture_output=True, check=True
        )
        assert shown.stdout == stored
    again = branch.keep(GATES, record, work / "results", "gate: PASS")
    assert again.commit == outcome.commit  # it has the record


def test_nothing_that_is_checked_out_changes(clone):
    work = clone("work")
    (work / "model.py").write_text("RATE = 0.02\n")
    git(work, "stash")
    (work / "model.py").write_text("RATE = 0.03\n")
    (work / "new.py").write_text("staged = True\n")
    git(work, "add", "new.py")
    (work / "untracked.py").write_text("")

    def state():
        index = hashlib.sha256((work / ".git" / "index").read_bytes()).hexdigest()
        words = [["status", "--porcelain=v2", "--branch"], ["stash", "list"], ["reflog"], ["diff"]]
        return index, (work / ".git" / "HEAD").read_text(), *(git(work, *each) for each in words)

    git(work, "status")  # which may refresh the index
    before = state()
    for outcome in kept(RecordBranch(work, "records"), work, 1, 2):
        assert not outcome.failure
    assert state() == before
    assert len(gates_on(work)) == 2


@pytest.mark.parametrize(
    "is_remote", [True, False], ids=["two clones of a remote", "one clone without remote"]
)
def test_parallel_jobs_lose_nothing(clone, tmp_path, is_remote):
    clones = [clone("a"), clone("b")] if is_remote else [clone("a")] * 2
    if not is_remote:
        git(clones[0], "remote", "remove", "origin")
    jobs = []
    for place, work in enumerate(clones):
        _, paths = gates(work, *range(5 * place, 5 * place + 5))
        command = [sys.executable, "-c", JOB, work, work / "results", *paths]
        jobs.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    for job in jobs:
        printed, errors = job.communicate()
        assert (job.returncode, errors) == (0, "")
        assert [line.startswith("Kept: branch records") for line in printed.splitlines()] == [True] * 5
    holder = tmp_path / "remote" if is_remote else clones[0]
    assert len(gates_on(holder)) == 10
    # Each commit adds its record: no merge takes one away that an earlier commit has.
    commits = git(holder, "rev-list", "--reverse", "--topo-order", "records").splitlines()
    counts = [len(gates_on(holder, commit)) for commit in commits]
    assert counts == sorted(counts)


def test_a_commit_that_comes_first_is_kept(clone, monkeypatch):
    """Deterministic: another clone pushes between the fetch and the push of this one."""
    ours, theirs = clone("ours"), clone("theirs")
    branch, plain = RecordBranch(ours, "records"), RecordBranch._commit
    others = iter([1, 2])

    def late(self, files, title, tips):
        commit = plain(self, files, title, tips)
        if self is branch and (number := next(others, None)):
            kept(RecordBranch(theirs, "records"), theirs, number)
        return commit

    monkeypatch.setattr(RecordBranch, "_commit", late)
    (outcome,) = kept(branch, ours, 3)
    assert not outcome.failure
    assert len(gates_on(ours.parent / "remote")) == 3
    assert git(ours, "rev-list", "--min-parents=2", "records") == ""


def test_a_refused_push_is_stated_and_made_up_for(clone, remote):
    work = clone("work")
    hook = script(remote / "hooks" / "pre-receive", "echo 'no write access' >&2; exit 1")
    (outcome,) = kept(RecordBranch(work, "records"), work, 1)
    assert (outcome.commit, outcome.remote) == (git(work, "rev-parse", "records"), "origin")
    assert "no write access" in outcome.failure
    assert str(outcome).startswith("the record was not kept on origin; branch records of this clone has it")
    assert "\n" not in str(outcome)
    other = clone("other")
    Path(hook).unlink()
    kept(RecordBranch(other, "records"), other, 2)
    assert len(gates_on(remote)) == 1
    (outcome,) = kept(RecordBranch(work, "records"), work, 3)
    assert not outcome.failure
    assert len(gates_on(remote)) == 3  # that of the refused push, too


def test_a_remote_that_does_not_answer_costs_the_push_alone(clone):
    work = clone("work")
    git(work, "remote", "set-url", "origin", "https://user:hidden@127.0.0.1:9/nothing.git")
    branch = RecordBranch(work, "records")
    branch.check()
    (outcome,) = kept(branch, work, 1)
    assert len(gates_on(work)) == 1
    assert outcome.failure
    assert "hidden" not in str(outcome)


def test_a_shallow_clone_of_one_branch_continues_the_remote_branch(clone):
    """As a runner checks out: one commit, and no ref of any other branch."""
    kept(RecordBranch(first := clone("first-clone"), "records"), first, 1, 2)
    work = clone("work", "--depth", "1", "--single-branch")
    (outcome,) = kept(RecordBranch(work, "records"), work, 3)
    assert not outcome.failure
    assert len(gates_on(work)) == 3
    assert git(work, "rev-list", "--count", "records") == "3"
    whole = clone("whole")
    kept(RecordBranch(whole, "records"), whole, 4)
    assert git(whole, "rev-parse", "--is-shallow-repository") == "false"


def test_a_runner_without_an_author_has_a_stated_one(clone, monkeypatch, tmp_path):
    work = clone("work")
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    kept(RecordBranch(work, "records"), work, 1)
    who = "harness gate <harness-gate@example.invalid>"
    assert git(work, "log", "-1", "--format=%an <%ae>|%cn <%ce>", "records") == f"{who}|{who}"
    git(work, "config", "user.name", "Ada")
    git(work, "config", "user.email", "ada@example.org")
    kept(RecordBranch(work, "records"), work, 2)
    assert git(work, "log", "-1", "--format=%an <%ae>", "records") == "Ada <ada@example.org>"


def checked_out(work):
    return "main"


def checked_out_elsewhere(work):
    git(work, "worktree", "add", "-q", "-b", "elsewhere", "../elsewhere")
    return "elsewhere"


def with_code(work):
    git(work, "branch", "feature")
    return "feature"


def with_code_on_the_remote(work):
    git(work, "push", "-q", "origin", "main:refs/heads/theirs")
    return "theirs"


def of_several_remotes(work):
    git(work, "remote", "rename", "origin", "one")
    git(work, "remote", "add", "two", "../two")
    return "records"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (checked_out, "is checked out in"),
        (checked_out_elsewhere, "elsewhere, whose files would not follow it"),
        (with_code, "other files than records"),
        (with_code_on_the_remote, "other files than records"),
        (of_several_remotes, "several remotes (one, two)"),
        (lambda _: "a..b", "no branch can have this name"),
        (lambda _: "@{-1}", "no branch can have this name"),
        (lambda _: "-d", "begins with a hyphen"),
    ],
)
def test_other_branches_are_refused_before_anything_is_measured(quick, clone, monkeypatch, name, reason):
    work = clone("work")
    monkeypatch.chdir(work)
    done = quick("gate", "--base", "HEAD", "--keep", name(work))
    assert done.returncode == 2
    assert reason in done.stderr
    assert "gate.toml" not in done.stderr  # there is none, which would be the next reason
    assert not (work / "results").exists()


def test_a_folder_without_repository_is_refused(quick):
    done = quick("gate", "--base", "HEAD", "--keep", "records")
    assert done.returncode == 2
    assert "--keep needs a git repository" in done.stderr


STEP = "import model\ndef make_step():\n    return lambda: model.RATE\n"
SUITE = '[benchmarks.train]\nstep = "bench.py:make_step"\n'


@pytest.mark.parametrize("is_refused", [False, True], ids=["pushed", "refused"])
def test_a_gate_keeps_its_verdict_whatever_the_push_does(harness, tmp_path, is_refused):
    """The values differ, so that nothing is timed: FAIL."""
    harness.folder.rmdir()
    add_commit(tmp_path / "first", {"bench.py": STEP, "model.py": "RATE = 0.01\n", "gate.toml": SUITE})
    git(tmp_path, "clone", "-q", "--bare", "first", "remote")
    git(tmp_path, "clone", "-q", "remote", "work")
    add_commit(harness.folder, {"model.py": "RATE = 0.02\n", ".gitignore": "results/\n"})
    if is_refused:
        script(tmp_path / "remote" / "hooks" / "pre-receive", "echo read-only token; exit 1")
    done = harness("gate", "--base", "HEAD^1", "--keep", "records", "--format", "json", "--quiet")
    assert done.returncode == 1, done.stderr
    record = json.loads(done.stdout)
    assert gates_on(harness.folder) == [f"gates/{record['id']}.json"]
    (line,) = [each for each in done.stderr.splitlines() if "branch records" in each]
    if is_refused:
        assert "was not kept on origin" in line
        assert "read-only token" in line
    else:
        assert line.endswith("pushed to origin")
        title = git(tmp_path / "remote", "log", "-1", "--format=%s", "records")
        assert title.startswith("gate: FAIL of ")
        sources = [name for name in names(harness.folder) if name.startswith("sources/")]
        assert len(sources) == len([each for each in record["sources"] if each["kept"]]) == 2


def test_history_reads_the_branch(quick, clone, monkeypatch, tmp_path):
    """From a clone that has never fetched the branch; then with what another clone could not push."""
    work, reader = clone("work"), clone("reader", "--single-branch")
    records = fixed_gates([1.0] * 6)
    save(work, *records)
    branch = RecordBranch(work, "records")
    for record in records[:5]:
        branch.keep(GATES, record, work / "results", "gate: PASS")
    monkeypatch.chdir(reader)

    def points():
        done = quick("history", "--kept", "records", "--metric", "step", "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        return len(json.loads(done.stdout)["series"][0]["points"])

    assert points() == 5
    save(reader, records[5])
    script(tmp_path / "remote" / "hooks" / "pre-receive", "exit 1")
    assert RecordBranch(reader, "records").keep(GATES, records[5], reader / "results", "gate: PASS").failure
    assert points() == 6
    assert git(reader, "worktree", "list").count("\n") == 0
    missing = quick("history", "--kept", "nothing")
    assert missing.returncode == 2
    assert "no such branch here or on origin" in missing.stderr
    foreign = quick("history", "--kept", "main")
    assert (foreign.returncode, "other files than records" in foreign.stderr) == (2, True)
    assert quick("history", "--kept", "records", "results").returncode == 2


def test_reading_refuses_a_name_of_no_branch(clone):
    with pytest.raises(UsageError, match="no branch can have this name"):
        RecordBranch(clone("work"), "a b", "--kept")
