"""Duels and gates as frames: a row per configuration or metric; a file that cannot be read is skipped."""

import pytest
from support.made_duels import save_duel, stored_duel
from support.made_gates import mixed_gate, save
from support.records import row_of

import harness


@pytest.mark.parametrize(("name", "folder"), [("load_duels", "duels"), ("load_gates", "gates")])
@pytest.mark.parametrize("content", ["{", '{"schema": 99}', '{"benchmarks": []}'])
def test_every_frame_skips_what_is_unreadable_and_may_be_empty(tmp_path, name, folder, content):
    load = getattr(harness, name)
    with pytest.warns(UserWarning, match="there are no records in"):
        assert load(tmp_path / "nowhere").empty
    save_duel(tmp_path, stored_duel())
    (tmp_path / "gates").mkdir()
    (tmp_path / folder / "20260101-z.json").write_text(content)
    with pytest.warns(UserWarning, match=r"20260101-z\.json is not a readable") as caught:
        frame = load(tmp_path)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert frame.empty == (name == "load_gates")


def test_one_row_per_configuration_of_a_duel(tmp_path, snapshot):
    save_duel(tmp_path, stored_duel())
    frame = harness.load_duels(tmp_path)
    assert (len(frame), row_of(frame)) == (1, snapshot)


def test_a_duel_without_results_has_its_configurations(tmp_path):
    save_duel(tmp_path, stored_duel(results=[], status="interrupted"))
    (row,) = harness.load_duels(tmp_path).to_dict("records")
    assert (row["status"], row["verdict"], row["pairs"]) == ("interrupted", None, 0)


def test_one_row_per_metric_and_quality_of_a_gate(tmp_path):
    gate = mixed_gate()
    save(tmp_path, gate)
    frame = harness.load_gates(tmp_path / "results").set_index(["benchmark", "metric"])
    assert frame["gate_verdict"].unique().tolist() == [gate.verdict]
    assert frame.loc[("rnn-compiled", "step"), "verdict"] == "FAIL"
    assert frame.loc[("rnn-compiled", "step"), "ratio"] == pytest.approx(1.08, rel=0.02)
    assert frame.loc[("mlp", "memory"), "verdict"] == "INCONCLUSIVE"
    assert frame.loc[("gan", "quality"), "verdict"] == "FAIL"
    assert frame.loc["forecast", "benchmark_verdict"].tolist() == ["FAIL"]
