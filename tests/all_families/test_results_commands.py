"""``list results``, ``show``, ``compare`` and ``report`` take duels, gates and studies like runs."""

import json

import pytest
from support.command import stored
from support.made_duels import save_duel, stored_duel
from support.made_gates import made_benchmark, made_gate, mixed_gate, save
from support.made_study import STUDY
from support.records import make_record, save_runs

from harness.learning.study.record import STUDIES


@pytest.fixture
def work(quick):
    results = quick.folder / "results"
    save_runs(results, make_record())
    save(quick.folder, mixed_gate(), made_gate(made_benchmark(), number=1))
    save_duel(results, stored_duel())
    STUDIES.save(STUDY, results / "studies")
    return quick


def test_every_kind_is_listed_with_its_outcome_at_80_columns(work, snapshot):
    listed = work("list", "results", COLUMNS="80").stdout
    assert max(map(len, listed.splitlines())) <= 80
    assert listed == snapshot


@pytest.mark.parametrize("kind", ["runs", "duels", "gates", "studies"])
def test_a_record_is_shown_by_each_of_its_names(work, kind):
    path = min((work.folder / "results" / kind).glob("*.json"))
    copy = work.folder / "artefact.json"
    copy.write_bytes(path.read_bytes())
    first = work("show", path.stem)
    listed = work("list", "results", COLUMNS="160").stdout.split()
    short = [word for word in listed if path.stem.startswith(word) and len(word) > 8]
    for name in (*short[:1], f"results/{kind}/{path.name}", copy.name):
        done = work("show", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[1:] == first.stdout.splitlines()[1:]
    assert str(path.relative_to(work.folder)) in first.stdout.splitlines()[0]
    assert json.loads(work("show", path.stem, "--format", "json").stdout) == stored(path)


def test_a_terminal_that_lacks_a_sign_is_shown_another(harness):
    save(harness.folder, mixed_gate())
    done = harness("show", mixed_gate().id, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "? 5" in done.stdout  # for "≤ 5 %", the limit


@pytest.mark.parametrize(
    ("name", "words"),
    [(mixed_gate().id, "FAIL: 3 of 5"), ("overfitting", "nothing to compare the others")],
)
def test_compare_prints_what_is_named(work, name, words):
    assert words in work("compare", name).stdout


def test_a_gate_is_reported_by_its_id(work):
    done = work("report", mixed_gate().id, "--to", "gate.md")
    assert (done.returncode, done.stdout) == (0, "gate.md\n")
    assert "FAIL" in (work.folder / "gate.md").read_text()
