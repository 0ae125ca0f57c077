"""Planted pairs of models: right ports are not accused, and faults are named."""

import sys

import pytest
from support.planted_ports import MODELS

from harness.port.comparison import check_models
from harness.port.findings import PortOptions, SideSpec
from harness.report.port import described
from harness.tracing.calls import InputShape

sys.path.insert(0, str(MODELS.parent / "pairs"))
from table import pairs

QUICK = ("branches in flax: order",)
SLOW = (
    "heads",
    "nested",
    "swiglu: halves",
    "rotary: adjacent",
    "attention: mask missing",
    "window: off by one",
)


@pytest.fixture
def by_name(tmp_path):
    return {pair.name: pair for pair in pairs(tmp_path)}


def test_names_are_unique_and_there_are_enough_of_them(by_name, tmp_path):
    assert len(by_name) == len(list(pairs(tmp_path)))
    assert sum(pair.named is not None for pair in by_name.values()) >= 40
    assert {*QUICK, *SLOW} <= by_name.keys()


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_right_port_is_equal_and_a_fault_is_named(by_name, name):
    pair = by_name[name]
    shape = InputShape(pair.inputs, integer=pair.maximum > 0, maximum=pair.maximum)
    sides = SideSpec(pair.a, pair.arguments_a), SideSpec(pair.b, pair.arguments_b)
    found = check_models(*sides, [shape], PortOptions(steps=3, loss="mse"))
    if pair.named is None:
        assert found.equal
    else:
        assert found.verdict == "different"
        assert pair.is_named([described(cause) for cause in found.causes])
