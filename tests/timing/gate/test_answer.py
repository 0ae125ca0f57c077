"""Whatever happens to a gate, its outputs are written, and its record has a final status and the reason."""

import json
from xml.etree import ElementTree as ET

import pytest
from support.repository import add_commit

from harness.errors import HarnessError
from harness.timing.environments import commits
from harness.timing.environments.environment import Environment

#: Nothing is timed.
LIMITS = ("max_slowdown", "max_first_step_slowdown", "max_memory_growth")
UNTIMED = "".join(f'{limit} = "off"\n' for limit in LIMITS)
SUITE = UNTIMED + '[benchmarks.train]\nstep = "bench.py:make_step"\nthreads = 1\n'
STEP = "from mynet import RATE\ndef make_step(size=1):\n    return lambda: RATE\n"
NAMES = ("junit.xml", "gate.md", "gate.html", "bencher.json")


@pytest.fixture
def repository(quick):
    """A package and a step, committed, with a suite that times nothing."""
    files = {"bench.py": STEP, "mynet/__init__.py": "RATE = 0.5\n", "gate.toml": SUITE}
    add_commit(quick.folder, files | {".gitignore": "results/\n__pycache__/\nout/\ndata/\ncache/\n"})
    return quick.folder


def answer(quick, *options, base="HEAD"):
    """The exit code, the record, kind and message of the last case that is no success, and the annotation."""
    (quick.folder / "out").mkdir(exist_ok=True)
    written = {name: quick.folder / "out" / name for name in NAMES}
    targets = [word for path in written.values() for word in ("--to", str(path))]
    summary = quick.folder / "out" / "summary"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    done = quick("gate", "--base", base, "--quiet", *targets, *options, **github)
    (path,) = (quick.folder / "results" / "gates").glob("*.json")
    record = json.loads(path.read_text())
    assert all(path.stat().st_size for path in written.values())
    *_, outcome = ET.parse(written["junit.xml"]).iterfind(".//testcase/*[@message]")  # noqa: S314  our own
    text = summary.read_text()
    assert text == written["gate.md"].read_text()
    assert text.split()[2] == f"{record['verdict']}:"
    annotations = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert len(annotations) == 1
    return done.returncode, record, (outcome.tag, outcome.get("message")), annotations[0]


@pytest.mark.parametrize(
    ("files", "base", "reason"),
    [
        ({}, "nowhere", "--base nowhere: no such commit"),
        ({"gate.toml": None}, "HEAD", "no suite here"),
        ({"gate.toml": "a = ["}, "HEAD", "cannot read the suite gate.toml"),
        ({"gate.toml": SUITE + "sise = 3\n"}, "HEAD", "unknown key 'sise'"),
    ],
)
def test_a_gate_that_cannot_run_says_so_everywhere(quick, repository, files, base, reason):
    for name, text in files.items():
        (repository / name).unlink()
        if text is not None:
            (repository / name).write_text(text)
    code, record, (tag, message), annotation = answer(quick, base=base)
    assert (code, record["status"], record["verdict"], tag) == (2, "failed", "INVALID", "error")
    for each in (record["failure"], message, annotation):
        assert reason in each


def test_a_suite_that_head_removed_is_answered_too(quick, repository):
    code, record, _, _ = answer(quick, "--suite", "ci/gate.toml")
    assert (code, record["suite"]) == (2, "ci/gate.toml")


@pytest.mark.parametrize("names", [(), ("SIGTERM",)])
def test_an_interrupt_before_the_gate_begins_is_answered(quick, repository, monkeypatch, names):
    def interrupted(*_):
        raise KeyboardInterrupt(*names)

    monkeypatch.setattr(commits.git, "checkout", interrupted)
    code, record, (tag, _), _ = answer(quick)
    assert (code, record["status"], tag) == (130, "interrupted", "error")
    assert record["failure"] == " by ".join(["interrupted", *names])


def test_a_fault_of_the_harness_is_answered(quick, repository, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(commits.git, "checkout", broken)
    code, record, _, annotation = answer(quick)
    assert (code, record["failure"]) == (2, "RuntimeError: a bug")
    assert "a bug" in annotation


@pytest.mark.parametrize(("fails", "code", "verdict"), [("head", 1, "FAIL"), ("base", 2, "INVALID")])
def test_an_installation_that_fails_for_head_alone_is_a_fail(
    quick, repository, monkeypatch, fails, code, verdict
):
    (repository / "gate.toml").write_text('source = "."\n' + SUITE)

    def made(label):
        if label == fails:
            raise HarnessError(f"{label}: pip install . failed: no such package")
        return Environment(label=label, python="python")

    class Head:
        def __enter__(self):
            return made("head")

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(commits, "head_environment", lambda *_: Head())
    monkeypatch.setattr(commits, "base_environment", lambda *_: made("base"))
    ended, record, (_, message), _ = answer(quick, "--base-suite", "gate.toml")
    assert (ended, record["verdict"]) == (code, verdict)
    assert "pip install . failed" in message


@pytest.mark.parametrize(
    ("bench", "reason"),
    [
        (STEP.replace("make_step", "make"), "there is no callable 'make_step'. It has make"),
        (STEP.replace("size=1", "size"), "missing a required argument: 'size'"),
        (STEP.replace("RATE\n", "NONE\n", 1), "cannot import name 'NONE'"),
        ("import mynet.precision\n" + STEP, "it needs mynet.precision: mynet/precision.py does not exist"),
        (STEP.replace("return", "step ="), "it returns NoneType, and no callable"),
        ("raise SystemExit\n", "sys.exit(None)"),
    ],
)
def test_a_step_that_head_alone_cannot_make_is_a_fail(quick, repository, bench, reason):
    (repository / "bench.py").write_text(bench)
    code, record, (tag, message), _ = answer(quick)
    assert (code, record["status"], record["verdict"], tag) == (1, "ok", "FAIL", "failure")
    assert reason in message
    assert message.startswith("head failed: ")


def test_a_file_that_was_not_added_is_named(quick, repository):
    """Base and head run the same commit; the file is in the working tree alone."""
    add_commit(repository, {"bench.py": "import mynet.precision\n" + STEP})
    (repository / "mynet" / "precision.py").touch()
    code, record, _, _ = answer(quick)
    assert code == 2
    missing = "it needs mynet.precision: mynet/precision.py is in your working tree, but not in the commit"
    assert record["failure"].endswith(f"{missing}: git add it")


def test_wrong_input_of_both_sides_is_no_fail(quick, repository):
    add_commit(repository, {"bench.py": STEP.replace("make_step", "make")})
    code, record, _, _ = answer(quick)
    assert (code, record["status"]) == (2, "failed")
    assert "there is no callable 'make_step'" in record["failure"]


def test_a_benchmark_that_only_head_has_may_have_a_new_factory(quick, repository):
    (repository / "bench.py").write_text(STEP + STEP.replace("make_step", "make_other"))
    (repository / "gate.toml").write_text(SUITE + '[benchmarks.other]\nstep = "bench.py:make_other"\n')
    done = quick("gate", "--base", "HEAD", "--format", "json")
    record = json.loads(done.stdout)
    _, other = record["benchmarks"]
    assert (done.returncode, other["verdict"], other["reasons"][0]["kind"]) == (0, "PASS", "new benchmark")
    (repository / "bench.py").write_text(STEP)  # neither side has it now
    assert quick("gate", "--base", "HEAD").returncode == 2


def test_limits_of_head_are_named_and_do_not_hold(quick, repository):
    (repository / "mynet" / "__init__.py").write_text("RATE = 0.6\n")
    (repository / "gate.toml").write_text(SUITE + 'values = "differ"\n')
    done = quick("gate", "--base", "HEAD")
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    assert 'which sets the limits: +benchmarks.train.values = "differ".' in text
    assert quick("gate", "--base", "HEAD", "--base-suite", "gate.toml").returncode == 0
