"""``list results``, ``show``, ``compare`` and ``report`` take duels, gates and studies like runs."""

import pytest
from support.made_duels import save_duel, stored_duel
from support.made_gates import made_benchmark, made_gate, mixed_gate, save
from support.made_study import STUDY
from support.records import make_record

from harness.analysis.study import STUDIES
from harness.runs.store import Store


@pytest.fixture
def work(quick):
    results = quick.folder / "results"
    store = Store(results)
    store.prepare()
    store.save(make_record())
    save(quick.folder, mixed_gate(), made_gate(made_benchmark(), number=1))
    save_duel(results, stored_duel())
    STUDIES.save(STUDY, results / "studies")
    return quick


def test_every_kind_is_listed_with_its_outcome_at_80_columns(work):
    lines = work("list", "results", COLUMNS="80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[1]: line for line in lines[3:] if line[:1] != " "}
    assert {"run", "duel", "gate", "study"} <= set(rows)
    assert "accuracy 50.0 %" in rows["run"]
    assert "b:torch:eager" in rows["duel"]
    assert "overfitting: 4" in rows["study"]
    assert [line for line in lines if " gate " in line and line.rstrip().endswith("FAIL")]


def test_what_is_listed_is_shown_by_the_id_of_the_list(work):
    for line in work("list", "results", COLUMNS="160").stdout.splitlines()[3:]:
        short, kind = line.split()[:2]
        done = work("show", short)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"/{kind}s/".replace("studys", "studies") in done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (mixed_gate().id, "FAIL: 3 of 5 benchmarks failed"),
        ("overfitting", "nothing to compare the others"),
    ],
)
def test_compare_prints_what_is_named(work, name, words):
    assert words in work("compare", name).stdout


def test_a_gate_is_reported_by_its_id(work):
    done = work("report", mixed_gate().id, "--to", "gate.md")
    assert (done.returncode, done.stdout) == (0, "gate.md\n")
    assert "FAIL" in (work.folder / "gate.md").read_text()


def test_history_names_a_file_of_another_kind(work):
    (duel,) = (work.folder / "results" / "duels").iterdir()
    done = work("history", str(duel))
    assert f"{duel} is a duel, not a gate; print it with: harness show {duel}" in done.stderr
