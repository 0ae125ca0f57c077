"""Records of gates that an earlier version wrote are read, with all they hold."""

import gzip
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.gate.files import GATES
from harness.gate.migration import from_schema_1
from harness.gate.pair_ratios import ratios_behind
from harness.gate.reasons import Recorded
from harness.gate.record import encode
from harness.report.gate import gate_text

STORED = Path(__file__).parents[1] / "support" / "records_schema_1" / "gates"


@pytest.fixture(params=["20261128-015259-gate-b070", "20261128-015348-gate-7cbf"])
def gate(request, tmp_path):
    path = tmp_path / f"{request.param}.json"
    path.write_bytes(gzip.decompress((STORED / f"{path.name}.gz").read_bytes()))
    return GATES.read(path)


def test_a_stored_gate_is_read_as_one_of_today_and_can_be_reported(gate, tmp_path):
    benchmark, *others = gate.benchmarks
    assert (gate.schema, gate.status, benchmark.name) == (2, "ok", "mlp")
    assert gate.verdict == ("FAIL" if others else "PASS")
    for other in others:
        assert (other.vanished, [type(reason) for reason in other.reasons]) == (True, [Recorded])
    assert [ran.label for ran in benchmark.configurations] == ["base", "head"]
    assert benchmark.configurations[0].variables["OMP_NUM_THREADS"] == "1"
    assert {block.configuration for pair in benchmark.look for block in pair.blocks} == {0, 1}
    for result in benchmark.metrics:
        assert result.ratio.n == result.pairs == len(ratios_behind(benchmark, result).logs)
    assert gate.verdict in gate_text(gate, 100)
    (tmp_path / "again.json").write_bytes(encode(gate))
    assert GATES.read(tmp_path / "again.json") == gate


RESULT = {
    "metric": "step",
    "verdict": "INCONCLUSIVE",
    "reason": "neither is proven",
    "unsound": False,
    "against": False,
    "stage": "confirmation",
    "limit": 0.05,
    "base": 1.0,
    "head": 1.1,
    "ratio": 1.1,
    "low": 1.06,
    "high": 1.2,
    "p_value": 0.1,
    "pairs": 8,
}


def migrated(**changes):
    result = RESULT | changes
    judged = {name: result[name] for name in ("verdict", "unsound", "against")}
    benchmark = judged | {"reason": f"step: {result['reason']}", "metrics": [result]}
    gate = {"status": "ok", "verdict": result["verdict"], "benchmarks": [benchmark], "against": "environment"}
    after = from_schema_1(gate)
    return after, after["benchmarks"][0], after["benchmarks"][0]["metrics"][0]


def test_a_sentence_becomes_a_recorded_reason_of_the_result_alone():
    gate, benchmark, result = migrated()
    assert (gate["verdict"], benchmark["verdict"], result["verdict"]) == ("INCONCLUSIVE",) * 3
    assert result["reasons"] == [{"kind": "recorded", "text": "neither is proven", "beyond_limit": False}]
    assert benchmark["reasons"] == []
    assert result["ratio"] == {"value": 1.1, "low": 1.06, "high": 1.2, "n": 8}


def test_unsound_becomes_invalid_and_against_a_mark():
    gate, benchmark, result = migrated(unsound=True)
    assert (gate["verdict"], benchmark["verdict"], result["verdict"]) == ("INVALID",) * 3
    _, _, result = migrated(against=True)
    assert result["reasons"][0]["beyond_limit"]


def test_what_ended_a_benchmark_stays_its_own_reason():
    benchmark = {"verdict": "FAIL", "reason": "side head: exited with code 9", "metrics": []}
    (after,) = from_schema_1({"status": "ok", "verdict": "FAIL", "benchmarks": [benchmark]})["benchmarks"]
    recorded = {"kind": "recorded", "text": "side head: exited with code 9", "beyond_limit": False}
    assert after["reasons"] == [recorded]


@pytest.mark.parametrize(("against", "stored"), [("environment", False), ("stored baseline", True)])
def test_a_stored_baseline_is_kept(against, stored):
    assert from_schema_1({"status": "ok", "against": against})["stored_baseline"] is stored


def test_a_gate_that_did_not_end_is_invalid():
    assert from_schema_1({"status": "interrupted", "benchmarks": []})["verdict"] == "INVALID"
    interrupted = {"status": "interrupted", "verdict": "FAIL", "benchmarks": []}
    assert from_schema_1(interrupted)["verdict"] == "FAIL"


def test_a_gate_of_a_later_schema_is_refused(tmp_path):
    path = tmp_path / "later.json"
    path.write_text('{"schema": 3}')
    with pytest.raises(UsageError, match="schema 3 is newer than 2"):
        GATES.read(path)
