"""``harness history`` as a user calls it: what it prints and writes, and what it refuses."""

import json

import msgspec
import pytest
from support.made_gates import BASE, HEAD, commit, fixed_gates, save
from support.records import make_record

from harness.runs.documents import encode_document

REGRESSIONS = (8, 16, 24)
LEVELS = [1.03 ** sum(place >= at for at in REGRESSIONS) for place in range(30)]


@pytest.fixture(scope="module")
def gates():
    return fixed_gates(LEVELS, noise=0.004)


@pytest.fixture
def work(harness, gates):
    save(harness.folder, *gates)
    return harness


def test_changes_are_found(work):
    done = work("history")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 3 series changed over 30 gates" in done.stdout
    for place in REGRESSIONS:
        assert commit(place)[:10] in done.stdout
    alone = work("history", "--metric", "memory", "--format", "json")
    assert [series["metric"] for series in json.loads(alone.stdout)["series"]] == ["memory"]


@pytest.mark.parametrize("name", ["history.html", "history.md", "history.json"])
def test_files_are_written(work, name):
    done = work("history", "--to", name)
    assert done.returncode == 0, done.stderr
    assert f"commit {commit(REGRESSIONS[1])[:10]}" in (work.folder / name).read_text()


def test_files_and_folders_can_be_named(work):
    (elsewhere := work.folder / "artefacts").mkdir()
    paths = sorted((work.folder / "results" / "gates").iterdir())
    for path in paths[:5]:
        path.rename(elsewhere / path.name)
    assert "over 5 gates" in work("history", "artefacts").stdout
    assert "over 25 gates" in work("history", "results").stdout
    assert "over 2 gates" in work("history", *(f"artefacts/{path.name}" for path in paths[:2])).stdout


def test_files_that_are_no_gates_are_named_and_skipped(work):
    folder = work.folder / "results" / "gates"
    (folder / "20260101-broken.json").write_text("{")
    (folder / "20260101-run.json").write_bytes(encode_document(make_record()))
    done = work("history")
    assert done.returncode == 1
    assert "20260101-broken.json is not a readable gate record" in done.stderr
    assert "20260101-run.json is a run, not a gate; print it with: harness show" in done.stderr
    assert "2 files were skipped" in done.stderr
    assert "over 30 gates" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--benchmark", "cnm"), "unknown benchmark 'cnm'. Did you mean 'cnn'? Known: cnn."),
        (("--metric", "stop"), "nvalid value for '--metric'"),
        (("--to", "history.pdf"), "the ending must be one of .html, .md, .json"),
        (("--to", "nowhere/history.md"), "cannot write nowhere/history.md"),
        (("missing.json",), "does not exist"),
        (("--results", "elsewhere"), "no gates in elsewhere/gates; make one with: harness gate"),
    ],
)
def test_wrong_input_is_refused_in_a_line(work, arguments, words):
    done = work("history", *arguments)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_gates_of_which_none_is_usable_are_no_success(harness):
    base, head = (msgspec.structs.replace(environment, commit=None) for environment in (BASE, HEAD))
    gates = [msgspec.structs.replace(gate, base=base, head=head) for gate in fixed_gates([1.0] * 3)]
    save(harness.folder, *gates)
    done = harness("history")
    assert done.returncode == 2
    assert "none of the 3 gates is usable: no commits are recorded in 3 of 3 gates" in done.stderr
    assert harness("history", "--same-base").returncode == 0


@pytest.mark.parametrize(
    ("module", "arguments", "words"),
    [
        ("ruptures", (), 'this needs ruptures: pip install "dl-harness[history]"'),
        ("vl_convert", ("--to", "history.html"), 'pip install "dl-harness[report]"'),
    ],
)
def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it(work, module, arguments, words):
    (blocked := work.folder / "blocked").mkdir()
    (blocked / f"{module}.py").write_text(f"raise ModuleNotFoundError('no', name='{module}')\n")
    done = work("history", *arguments, PYTHONPATH=str(blocked))
    assert done.returncode == 2
    assert words in done.stderr
