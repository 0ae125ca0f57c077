"""No cheat passes as certified, and an honest backend passes everywhere; see tests/benchmarks/cheats.py."""

import re

import pytest
from support.cheat_trials import COMMANDS, PLUGINS, Trials

pytestmark = pytest.mark.slow


@pytest.fixture
def trials(tmp_path):
    return Trials(tmp_path)


@pytest.fixture
def options(monkeypatch):
    """What a run needs to make a cheat matter."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    from cheats import CHEATS

    return lambda cheat: CHEATS[cheat].options


@pytest.mark.parametrize("command", [one for one in COMMANDS if one != "duel"])  # a gate makes the same pairs
def test_an_honest_backend_passes(trials, command):
    found, words, _ = trials.make(command, "honest")
    assert not found, words


@pytest.mark.parametrize(
    ("cheat", "words"),
    [
        ("repeats-batches", "differs from its recomputation|repeats that of step"),
        ("skips-long", "differs from its recomputation"),
        ("skips-late", "differs from its recomputation|do not follow the gradient"),
        ("skips-late-state", "differs from its recomputation|do not follow the gradient"),
        ("skips-learned", "differs from its recomputation|do not follow the gradient"),
        ("skips-real", "differs from its recomputation"),
        ("half-real", "differs from its recomputation in NumPy"),
        ("stops-early", "differs from its recomputation"),
        ("remembers", "differs from its recomputation|repeats that of step"),
        ("low-precision", "NumPy|not certified"),
        ("dropout-mask", "drops the same values at every step"),
        ("perfect-scores", "test accuracy was reported as 1, and the harness's own program gets 0"),
        ("writes-targets", "SIGSEGV|changed the training targets"),
        ("unlocks-in-predict", "cannot set WRITEABLE|changed"),
        ("never-waits", "weights|differs|while nothing is asked of it"),
    ],
)
def test_a_run_finds(trials, options, cheat, words):
    trial = trials.make("run", cheat, options(cheat))
    assert trial.found, trial.words
    assert re.search(words, trial.words), trial.words


@pytest.mark.parametrize("cheat", ["clock-half", "clock-tenth"])
def test_a_run_finds_clocks_that_a_busy_machine_does_not_hide(trials, options, cheat):
    found, words, _ = trials.make("run", cheat, options(cheat))
    assert found or "clock not tested" in words, words


@pytest.mark.parametrize("cheat", ["repeats-batches", "half-batch", "float16-losses", "writes-in-predict"])
@pytest.mark.parametrize("command", ["check", "kit"])
def test_check_and_kit_find(trials, command, cheat):
    assert trials.make(command, cheat).found


@pytest.mark.parametrize(
    ("command", "cheat"),
    [pytest.param("duel", "skips-learned", marks=pytest.mark.long), ("gate", "half-real")],
)
def test_duel_and_gate_find(trials, command, cheat):
    found, words, _ = trials.make(command, cheat)
    assert found
    assert "gradient" in words or "loss of step" in words, words
