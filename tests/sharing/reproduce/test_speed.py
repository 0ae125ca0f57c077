"""When ratios of times agree, and the claims of duels and gates: the rules, on records that were not made."""

from pathlib import Path

import msgspec
import pytest
from support.made_duels import stored_duel
from support.made_gates import made_benchmark, made_gate

from harness.core.stats.estimate import Estimate
from harness.errors import UsageError
from harness.sharing.reproduce import speed
from harness.sharing.reproduce.recorded_command import RecordedCommand
from harness.sharing.reproduce.repetition import Stored
from harness.sharing.reproduce.speed import DUELS, GATES, Claim, compare_ratios
from harness.sharing.reproduce.studies import compare_verdicts
from harness.timing.engine.asked import parsed


def claim(direction, low, high):
    return Claim(direction, Estimate((low * high) ** 0.5, low, high, 10))


TWICE = claim("slower", 1.9, 2.1)


@pytest.mark.parametrize(
    ("theirs", "mine", "expected"),
    [
        (TWICE, claim("slower", 1.8, 2.0), "holds"),
        (TWICE, claim("slower", 2.13, 2.2), "holds"),  # within the margin of 2 %
        (TWICE, claim("slower", 2.2, 2.3), "holds in direction"),
        (claim("slower", 3.8, 4.2), TWICE, "holds in direction"),
        (TWICE, claim("same", 0.99, 1.01), "does not hold"),
        (TWICE, claim("faster", 0.4, 0.5), "does not hold"),
        (claim("slower", 1.011, 1.05), claim("faster", 0.97, 0.995), "does not hold"),
        (claim("same", 0.99, 1.01), claim("same", 0.985, 1.0), "holds"),
        (claim("same", 0.99, 1.0), claim("slower", 1.01, 1.015), "holds"),
        (claim("same", 0.99, 1.0), claim("slower", 1.05, 1.06), "does not hold"),
        (TWICE, claim("undecided", 0.5, 4.0), "undecided"),
        (claim("undecided", 0.5, 4.0), TWICE, "undecided"),
        (TWICE, Claim("slower", Estimate(2.0, None, None, 2)), "undecided"),
        (TWICE, Claim("slower", None), "undecided"),
    ],
)
def test_the_rule_of_two_ratios(theirs, mine, expected):
    assert compare_ratios(theirs, mine, 0.02).verdict == expected


def test_what_is_undecided_is_named():
    agreement = compare_ratios(TWICE, claim("undecided", 0.5, 4.0), 0.02)
    assert agreement.reasons == ["+99.7 % [90.0, 110] there and +41.4 % [−50.0, 300] here; undecided here"]


def duel_with(path, **changes):
    duel = stored_duel()
    results = [msgspec.structs.replace(each, **changes) for each in duel.results]
    return Stored(stored_duel(results=results), path)


def test_a_duel_agrees_with_itself_and_not_with_a_claim_of_twice_the_speed(tmp_path):
    duel = Stored(stored_duel(), tmp_path)
    assert DUELS.agreement(duel, duel).verdict == "holds"
    claimed = duel_with(tmp_path, verdict="faster", ratio=Estimate(0.5, 0.48, 0.52, 10))
    agreement = DUELS.agreement(claimed, duel)
    assert agreement.verdict == "does not hold"
    assert "2.0× faster [1.9, 2.1] there" in agreement.reasons[0]


def test_an_undecided_duel_names_the_pairs_that_are_needed(tmp_path):
    here = duel_with(tmp_path, verdict="undecided", pairs_wanted=12)
    agreement = DUELS.agreement(Stored(stored_duel(), tmp_path), here)
    assert agreement.verdict == "undecided"
    assert agreement.reasons[0].endswith("(about 12 more pairs are needed)")


def test_a_duel_that_fails_here_refutes_nothing(tmp_path):
    failed = Stored(stored_duel(status="failed", failure="no room"), tmp_path)
    agreement = DUELS.agreement(Stored(stored_duel(), tmp_path), failed)
    assert (agreement.verdict, agreement.reasons) == ("undecided", ["it could not be timed here: no room"])


def gate_of(path, verdict="PASS", step=1.0):
    """A gate with one benchmark of this verdict and ratio of step times."""
    benchmark = made_benchmark(step=step, confirmed=8, verdict=verdict)
    return Stored(made_gate(benchmark), path)


@pytest.mark.parametrize(
    ("theirs", "mine", "expected"),
    [
        (("PASS", 1.0), ("PASS", 1.0), "holds"),
        (("FAIL", 1.3), ("FAIL", 1.8), "holds in direction"),
        (("PASS", 1.0), ("FAIL", 1.3), "does not hold"),
        (("FAIL", 1.3), ("INCONCLUSIVE", 1.1), "undecided"),
        (("PASS", 0.7), ("PASS", 1.04), "does not hold"),
    ],
)
def test_gates_compare_verdicts_and_step_times_of_each_benchmark(theirs, mine, expected, tmp_path):
    assert GATES.agreement(gate_of(tmp_path, *theirs), gate_of(tmp_path, *mine)).verdict == expected


def test_gates_that_fail_by_other_metrics_do_not_agree(tmp_path):
    slower, unchanged = (made_benchmark(step=step, confirmed=8, verdict="FAIL") for step in (1.3, 1.3))
    other = msgspec.structs.replace(
        unchanged,
        metrics=[
            msgspec.structs.replace(each, verdict="FAIL" if each.metric == "memory" else "PASS")
            for each in unchanged.metrics
        ],
    )
    there, here = (Stored(made_gate(each), tmp_path) for each in (slower, other))
    assert GATES.agreement(there, here).verdict == "does not hold"


@pytest.mark.parametrize(
    ("theirs", "mine", "expected"),
    [
        ("better", "better", "holds"),
        ("better", "worse", "does not hold"),
        ("better", "", "does not hold"),
        ("undecided", "undecided", "undecided"),
        ("better", "few", "undecided"),
    ],
)
def test_the_verdicts_of_a_study_agree_only_where_both_decide(theirs, mine, expected):
    assert compare_verdicts("a", theirs, mine).verdict == expected


def test_a_benchmark_that_the_suite_here_lacks_is_different(tmp_path):
    nothing = Stored(made_gate(), tmp_path)
    assert GATES.agreement(gate_of(tmp_path), nothing).verdict == "different"


def test_the_recorded_duel_is_given_again_without_defaults():
    duel = stored_duel(command=["duel", "torch:*", "torch", "--task", "mlp", "--budget", "2m"])
    command = RecordedCommand(duel.command, DUELS.commands)
    DUELS.arguments(duel, command)
    words = command.words(Path("new"))
    settings = "torch:eager threads=1 precision=float32 device=cpu"
    assert words[-3:] == ["--", settings, f"{settings} env.MALLOC_ARENA_MAX=1"]
    assert words[:-3] == [
        *("duel", "--task", "mlp", "--threads", "1"),
        *("--dataset", duel.dataset.name, "--results", "new"),
    ]


def test_only_code_and_interpreters_that_are_gone_are_lacking(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "lacking_backend", lambda _backend, _mode: ())
    monkeypatch.setattr(speed, "lacking_data", lambda _dataset: ())
    named = stored_duel(command=["duel", "torch", "torch:eager", "--task", "mlp"])
    assert list(DUELS.lacking(Stored(named, tmp_path))) == []
    own = stored_duel(command=["duel", "/gone/bench.py:make_step", "pkg.module:make"])
    assert list(DUELS.lacking(Stored(own, tmp_path))) == [
        "the user's own code: /gone/bench.py does not exist"
    ]


def test_a_text_of_a_configuration_adds_no_setting():
    duel = stored_duel()
    first = duel.configurations[0]
    device = "cpu python=/evil env.LD_PRELOAD=/evil.so"
    changed = msgspec.structs.replace(
        first, configuration=msgspec.structs.replace(first.configuration, device=device)
    )
    with pytest.raises(UsageError, match="write auto, cpu, cuda"):
        parsed(speed._written(changed, duel))
