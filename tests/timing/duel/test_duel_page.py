"""Duels: what is mentioned, drawn, and written where they ended early."""

import msgspec
import pytest
from support.damage import called
from support.made_duels import save_duel, stored_duel
from support.outline import outline

from harness.core.documents.document import Section
from harness.timing.duel.charts import duel_figures
from harness.timing.duel.page import duel_document


@pytest.mark.parametrize(
    ("count", "ticks"), [(1, [1]), (2, [1, 2]), (10, list(range(1, 11))), (25, range(1, 26, 3))]
)
def test_pairs_are_counted_in_whole_numbers(count, ticks):
    record = stored_duel()
    record = msgspec.structs.replace(record, pairs=(record.pairs * 3)[:count])
    course = duel_figures(record)[1].chart
    drawn = [layer["encoding"]["x"] for layer in course["layer"] if "x" in layer["encoding"]]
    assert [x["axis"]["values"] for x in drawn] == [list(ticks)] * len(drawn)
    assert drawn


def test_only_an_unusual_environment_of_processes_is_mentioned():
    assert "--process-environment" not in outline(duel_document(stored_duel()))
    assert "--process-environment plain" in outline(duel_document(stored_duel(process_environment="plain")))


def test_the_turns_of_a_long_duel_are_drawn_together():
    short = stored_duel()
    long = msgspec.structs.replace(short, pairs=short.pairs * 10)
    rows = duel_figures(long)[-1].chart["data"]["values"]
    assert len(rows) <= 2 * 700
    assert {row["pair"] for row in rows} == set(range(1, 101))


@pytest.mark.parametrize(("pairs", "parts"), [(0, []), (1, ["pairs-and-turns", "configurations"])])
@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_a_duel_that_ended_early_says_so_and_shows_the_pairs_it_has(status, pairs, parts, snapshot):
    stored = stored_duel()
    record = msgspec.structs.replace(
        stored, status=status, failure="x", pairs=stored.pairs[:pairs], results=[]
    )
    document = duel_document(record)
    assert document.headline == snapshot
    assert [node.id for node in document.nodes if isinstance(node, Section)] == parts


def test_compare_and_report_take_a_duel(tmp_path):
    path = save_duel(tmp_path, stored_duel())
    verdict, finishes_first = duel_document(stored_duel()).headline
    code, output = called("compare", path)
    assert code == 0
    assert f"{verdict} {finishes_first}" in " ".join(output.split())
    for refused in (("--to", tmp_path / "duel.csv"), ("task=mlp", "--to", tmp_path / "duel.html")):
        code, output = called("report", path, *refused, "--results", tmp_path)
        assert (code, output.count("\n")) == (2, 1)
