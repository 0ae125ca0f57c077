"""An entry in the table of quantities is shown and gated, and its value may be 0; nothing else is touched."""

import sys

import msgspec
import pytest
from support.made_pairs import made_pair

from harness.core.machine import quantities
from harness.core.machine.quantities import Gated, Quantity
from harness.timing.environments.suite import Limits
from harness.timing.environments.suite_file import read_suite
from harness.timing.gate.judgement import confirmed, looked_at
from harness.timing.gate.metrics import series
from harness.timing.gate.words import change, metric_text

SPILLS = Quantity(
    "spilled_pages",
    "memory/spilled_pages",
    "spilled pages",
    "pages",
    1.0,
    "lower",
    lambda program: program.spilled,
    gated=Gated("spills", "max_spill_growth", 0.2),
)


@pytest.fixture(autouse=True)
def entry(monkeypatch):
    """The table with another entry, in every module that has imported the table."""
    table = quantities.QUANTITIES
    for module in list(sys.modules.values()):
        if getattr(module, "QUANTITIES", None) is table:
            monkeypatch.setattr(module, "QUANTITIES", (*table, SPILLS))


def with_spills(base, head, **changes):
    """Pairs of processes that spilled so many pages."""
    return [
        msgspec.structs.replace(
            pair := made_pair(turns=6, **changes),
            processes=[
                msgspec.structs.replace(process, measured=process.measured | spilled)
                for process, spilled in zip(
                    pair.processes, [_spilled(base, place), _spilled(head, place)], strict=True
                )
            ],
        )
        for place in range(6)
    ]


def _spilled(pages, place):
    return {} if pages is None else {"spilled_pages": float(pages + place % 2 * (pages > 0))}


def judged(pairs, stage):
    (spills,) = (each for each in series(pairs, Limits(), [64, 64]) if each.metric == "spills")
    return looked_at(spills, 0.5) if stage == "look" else confirmed(spills, 0.5, 0.01, last=True)


@pytest.mark.parametrize(
    ("base", "head", "stage", "verdict", "text"),
    [
        (0, 0, "look", "PASS", "0.0 %"),
        (100, 100, "look", "PASS", "0.0 %"),
        (100, 0, "look", "PASS", "to 0"),
        (0, 40, "confirmation", "FAIL", "from 0"),
        (100, 200, "confirmation", "FAIL", "+99.5 %"),
    ],
)
def test_it_is_gated_and_0_is_a_value(base, head, stage, verdict, text):
    result = judged(with_spills(base, head), stage)
    assert (result.verdict, result.limit) == (verdict, 0.2)
    assert change("spills", result.ratio).startswith(text)
    assert metric_text(result).startswith(f"spills {text}")


def test_a_floor_makes_a_small_growth_from_0_no_loss(monkeypatch):
    table = (SPILLS._replace(gated=SPILLS.gated._replace(floor=1000.0)),)
    monkeypatch.setattr(quantities, "QUANTITIES", table)
    assert judged(with_spills(0, 40), "look").verdict == "PASS"


def test_what_one_side_does_not_measure_is_not_judged():
    metrics = [each.metric for each in series(with_spills(None, 5), Limits(), [64, 64])]
    assert metrics == ["step", "first step", "memory"]


def test_a_suite_limits_it(tmp_path):
    suite = tmp_path / "gate.toml"
    suite.write_text('max_spill_growth = "300%"\n[benchmarks.a]\nbackend = "torch"\ntask = "mlp"\n')
    (benchmark,) = read_suite(suite).benchmarks
    assert benchmark.limits.of("max_spill_growth") == 3.0
    assert benchmark.limits.of("max_memory_growth") == 0.1
