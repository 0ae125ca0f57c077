"""No cheat passes in a duel or a gate, and an honest backend passes; see tests/benchmarks/cheats.py."""

import pytest
from support.cheat_trials import Trials

pytestmark = pytest.mark.slow


@pytest.fixture
def trials(tmp_path):
    return Trials(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("command", ["duel", "gate"])
def test_an_honest_backend_passes(trials, command):
    found, words, _ = trials.make(command, "honest")
    assert not found, words


@pytest.mark.parametrize(
    ("command", "cheat"),
    [pytest.param("duel", "skips-learned", marks=pytest.mark.long), ("gate", "watched")],
)
def test_duel_and_gate_find(trials, command, cheat):
    found, words, _ = trials.make(command, cheat)
    assert found
    assert "gradient" in words or "differs from its recomputation" in words, words
