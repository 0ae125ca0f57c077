"""A duel that was recorded in schema 1 is read, shown and compared as one of today."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from harness.analysis.results import read_all
from harness.duel.files import DUELS
from harness.duel.migration import from_schema_1
from harness.duel.record import SCHEMA, Difference

RECORDS = Path(__file__).parents[1] / "support/records_schema_1"


@pytest.fixture(scope="module")
def harness(tmp_path_factory, harness_in):
    """The recorded runs and duels of schema 1 in a results folder."""
    command = harness_in(tmp_path_factory.mktemp("schema 1"))
    results = command.folder / "results"
    shutil.copytree(RECORDS / "runs", results / "runs")
    (results / "duels").mkdir()
    for path in (RECORDS / "duels").glob("*.json.gz"):
        (results / "duels" / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return command


def test_every_part_has_its_new_name(harness):
    (duel,), unreadable = read_all(DUELS, DUELS.paths(harness.folder / "results"))
    assert unreadable == []
    assert (duel.schema, duel.stopped_because, duel.process_environment) == (SCHEMA, "decided", "quiet")
    assert [one.label for one in duel.configurations] == ["a:torch:eager", "b:torch:eager"]
    assert duel.configurations[1].variables["MALLOC_ARENA_MAX"] == "1"
    assert duel.differences == [Difference("variable MALLOC_ARENA_MAX", [None, "1"])]
    assert {block.configuration for pair in duel.pairs for block in pair.blocks} == {0, 1}
    (result,) = duel.results
    assert (result.configuration, result.reference) == ("b:torch:eager", "a:torch:eager")
    assert (result.verdict, result.reason, result.pairs, result.lost) == ("same", None, 10, 0)
    assert result.ratio.low < result.ratio.value < result.ratio.high
    assert result.ratio.n == 10


def test_it_is_shown(harness):
    (path,) = (harness.folder / "results/duels").glob("*.json")
    shown = harness("show", path.stem)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[2].startswith(
        "b:torch:eager is as fast as a:torch:eager within 2 %: +0.1 %"
    )
    assert json.loads(harness("show", path.stem, "--format", "json").stdout)["schema"] == SCHEMA


def test_runs_beside_it_are_compared(harness):
    compared = harness("compare")
    assert compared.returncode == 0, compared.stderr
    assert "duels" not in compared.stderr


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("", None),
        ("6 of 14 pairs were lost to disturbances", "pairs lost"),
        ("the control differs between the sides' turns: the machine was not the same", "control moved"),
        ("over all blocks, pauses included, the difference is the other way round", "contradicted"),
    ],
)
def test_sentences_become_values(sentence, reason):
    migrated = from_schema_1(duel_of_schema_1(sentence))
    (result,) = migrated["results"]
    assert (result["verdict"], result["reason"], result["ratio"]) == ("undecided", reason, None)
    assert migrated["differences"] == [{"name": "threads", "values": ["1", "2"]}]
    assert migrated["stopped_because"] == "most pairs"


@pytest.mark.parametrize(
    ("sentences", "field"),
    [
        ({"reason": "the machine was not the same"}, "reason"),
        ({"stopped": "40 pairs were made, as many as a duel makes, and more"}, "stopped_because"),
    ],
)
def test_another_sentence_is_refused(sentences, field, tmp_path):
    (tmp_path / "duels").mkdir()
    path = tmp_path / "duels" / "changed.json"
    path.write_text(json.dumps(duel_of_schema_1(**sentences) | {"schema": 1}))
    duels, (message,) = read_all(DUELS, DUELS.paths(tmp_path))
    assert duels == []
    assert message.startswith(f"{path} is not a readable duel record: ")
    assert message.endswith(f" is no {field} of schema 1")


@pytest.mark.parametrize(
    ("sentence", "stopped"),
    [
        ("", None),
        ("every verdict is in", "decided"),
        ("every verdict is in and precise enough", "decided"),
        ("the budget is spent", "budget spent"),
        ("12 pairs were made and more would use up the error allowed", "most pairs"),
    ],
)
def test_why_a_duel_ended_becomes_a_value(sentence, stopped):
    assert from_schema_1(duel_of_schema_1(stopped=sentence))["stopped_because"] == stopped


def duel_of_schema_1(reason="", stopped="40 pairs were made, as many as a duel makes"):
    comparison = {
        "side": "b",
        "against": "a",
        "verdict": "cannot tell yet",
        "reason": reason,
        "pairs": 0,
        "ratio": None,
        "low": None,
        "high": None,
    }
    return {
        "sides": [{"threads": 1}, {"threads": 2}],
        "differences": ["threads: 1 (a), 2 (b)"],
        "comparisons": [comparison],
        "stopped_because": stopped,
    }
