"""Planted pairs of models: right ports are not accused, and faults are named; all are in the benchmark."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.planted_ports import MODELS

sys.path.insert(0, str(MODELS.parent / "pairs"))
from table import pairs

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "port_pairs.py"
#: One of each kind of cause, and the right twins; each takes a second.
SOME = (
    "^(clipped|gated_steps|prenorm|nested|window|tied|decay of biases)(?!.*(flax|optax))"
    "|^rotary(: adjacent)?$|^mirrored(: axis)?$|packed attention apart: merge"
)


def test_names_are_unique_and_there_are_enough_of_them(tmp_path):
    names = [pair.name for pair in pairs(tmp_path)]
    assert len(names) == len({*names})
    assert sum(pair.named is not None for pair in pairs(tmp_path)) >= 40


@pytest.mark.slow
def test_right_ports_are_equal_and_faults_are_named(tmp_path):
    out = tmp_path / "pairs.jsonl"
    subprocess.run([sys.executable, BENCHMARK, out, SOME], check=True, capture_output=True)
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(results) >= 17
    assert [result for result in results if result["outcome"] not in {"right", "named"}] == []
    causes = {result["pair"]: result["causes"] for result in results}
    assert len(causes["gated_steps: halves"]) == 1  # what follows is compared in its order of axes
