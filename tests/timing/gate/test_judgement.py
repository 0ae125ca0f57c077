"""The two stages of a gate on made-up pairs: what passes, what fails, and how often by chance."""

import dataclasses
import math

import msgspec
import numpy as np
import pytest
from support.made_gates import made_benchmark
from support.made_pairs import changed_block, made_pair

from harness.core.stats.estimate import Estimate
from harness.timing.engine import ratios
from harness.timing.environments.suite import Limits
from harness.timing.gate.conclusion import conclude
from harness.timing.gate.judgement import LOOK_PAIRS, confirmed, final, looked_at
from harness.timing.gate.metrics import benchmark_ratios, ratios_behind, series
from harness.timing.gate.record import forgiven

LIMITS = Limits(max_slowdown=0.05)
NOT_SHOWN = "the first pairs do not show that head is within the limit"
LOST = "other work on the machine disturbed {} of {} pairs"


def texts(result):
    return list(map(str, result.reasons))


def pair(ratio=1.0, *, lost=False, **changes):
    """A pair whose head takes ``ratio`` times base's step time."""
    return made_pair(ratio, turns=6, lost=range(6) if lost else (), **changes)


def noisy(rng, pairs, truth=1.0, spread=0.01, **changes):
    return [pair(truth * math.exp(rng.normal(0, spread)), **changes) for _ in range(pairs)]


def of(metric, pairs, limits=LIMITS):
    return next(paired for paired in series(pairs, limits, [64, 64]) if paired.metric == metric)


def look(pairs, metric="step", max_speedup=0.5):
    return looked_at(of(metric, pairs), max_speedup)


def confirm(pairs, metric="step", level=0.01, last=True, max_speedup=0.5, looked=()):
    return confirmed(of(metric, [*looked, *pairs]), max_speedup, level, last=last)


def test_a_metric_clearly_within_its_limit_passes_at_the_look():
    result = look([pair(ratio) for ratio in (1.01, 0.99, 1.0, 1.005)])
    assert (result.verdict, result.stage, result.pairs, result.limit) == ("PASS", "look", 4, 0.05)
    assert result.ratio.value == pytest.approx(1.001, abs=0.001)
    assert (result.p_value, result.reasons) == (None, [])


@pytest.mark.parametrize(
    "ratios", [(1.05, 1.05, 1.05, 1.051), (1.1, 0.9, 1.0, 1.0), (1.03, 1.06, 1.04, 1.05)]
)
def test_a_metric_that_may_be_beyond_its_limit_is_to_be_confirmed(ratios):
    result = look([pair(ratio) for ratio in ratios])
    assert (result.verdict, texts(result)) == ("INCONCLUSIVE", [NOT_SHOWN])


@pytest.mark.parametrize(
    ("metric", "changes"),
    [("step", {"ratio": 1.08}), ("first step", {"first": 1.7}), ("memory", {"memory": 1.2})],
)
def test_each_metric_can_fail_alone(metric, changes):
    assert look([pair(**changes)] * LOOK_PAIRS, metric).verdict == "INCONCLUSIVE"
    result = confirm([pair(**changes)] * 8, metric)
    assert (result.verdict, texts(result)) == ("FAIL", ["head is proven worse than base"])
    others = {"step", "first step", "memory"} - {metric}
    assert {look([pair(**changes)] * LOOK_PAIRS, other).verdict for other in others} == {"PASS"}


def test_an_interval_within_the_limit_does_not_pass_if_slow_blocks_are_beyond_it():
    paired = of("step", noisy(np.random.default_rng(1), 12))
    slow = dataclasses.replace(paired.ratios, whole=np.repeat([0.0, 0.2], [8, 4]))
    assert confirmed(paired, 0.5, 0.01, last=True).verdict == "PASS"
    result = confirmed(paired._replace(ratios=slow), 0.5, 0.01, last=True)
    assert (result.verdict, "slow blocks" in texts(result)[0]) == ("INCONCLUSIVE", True)
    assert result.ratio.high < 1.05


def test_pauses_in_few_blocks_of_head_fail():
    """One block of six takes four times as long; the middle of the blocks does not show it."""
    rng = np.random.default_rng(2)
    looked, fresh = (
        [
            changed_block(made, 1, turn % 6, seconds=0.4)
            for turn, made in enumerate(noisy(rng, count, spread=0.002))
        ]
        for count in (LOOK_PAIRS, 12)
    )
    assert look(looked).verdict == "INCONCLUSIVE"
    result = confirm(fresh, looked=looked)
    assert (result.verdict, result.ratio.value) == ("FAIL", pytest.approx(1.5, rel=0.02))
    assert result.uneven


def test_a_loss_in_the_middle_does_not_fail_beside_a_gain_over_all_blocks():
    """Head is 3 % slower and lacks base's pauses, which occur in most of the later pairs."""
    rng = np.random.default_rng(2)
    plain = noisy(rng, 10, 1.03, 0.004)
    later = [changed_block(made, 0, 2, seconds=0.4) for made in noisy(rng, 14, 1.03, 0.004)]
    limits = Limits(max_slowdown=0.01)
    assert confirmed(of("step", plain, limits), 0.5, 0.01, last=False).verdict == "FAIL"
    result = confirmed(of("step", [*plain, *later], limits), 0.5, 0.01, last=True)
    assert (result.verdict, result.uneven, result.ratio.value < 1.0) == ("INCONCLUSIVE", True, True)


def test_a_loss_within_the_limit_passes_however_certain_it_is():
    rng = np.random.default_rng(0)
    result = confirm(noisy(rng, 12, 1.02, 0.003))
    assert result.verdict == "PASS"
    assert result.ratio.low > 1.0


def test_a_loss_near_the_limit_is_decided_at_the_end_only():
    rng = np.random.default_rng(1)
    pairs = noisy(rng, 8, 1.045, 0.01)
    assert confirm(pairs, last=False).verdict == "INCONCLUSIVE"
    assert confirm(pairs, last=True).verdict == "FAIL"


def test_the_pairs_of_the_look_count():
    looked = [pair(1.04), pair(0.97), pair(1.02), pair(1.03)]
    calm = [pair(1.01), pair(0.99), pair(1.0), pair(1.02)]
    result = confirm(calm, last=False, looked=looked)
    assert (result.verdict, result.pairs) == ("PASS", 8)
    assert confirm(calm, last=False).verdict == "INCONCLUSIVE"
    slower = [pair(1.2)] * 4
    result = confirm([], looked=slower, last=False)
    assert (result.verdict, result.pairs, result.level) == ("FAIL", 4, 0.01)
    assert result.p_value <= 0.01


@pytest.mark.parametrize(
    ("ratio", "pairs", "level", "verdict"),
    [
        (1.3, 3, 0.01, "INCONCLUSIVE"),  # too few to prove anything
        (1.3, 4, 0.01, "FAIL"),
        (1.1, 6, 0.01, "FAIL"),
        (1.1, 6, 0.001, "INCONCLUSIVE"),  # a smaller level takes more pairs
        (1.1, 8, 0.001, "FAIL"),
        (2.0, 20, 0.01 / 600, "FAIL"),  # however many metrics there are
    ],
)
def test_the_pairs_that_a_proof_takes_follow_from_its_level(ratio, pairs, level, verdict):
    for last in (True, False):
        assert confirm([pair(ratio)] * pairs, level=level, last=last).verdict == verdict


@pytest.mark.parametrize(("judge", "pairs"), [(look, LOOK_PAIRS), (confirm, 6), (confirm, 8)])
def test_a_control_that_moved_makes_the_metric_invalid(judge, pairs):
    for ratio in (1.0, 1.2):
        result = judge([pair(ratio, control=1.2 + 0.01 * (number % 2)) for number in range(pairs)])
        assert (result.verdict, "not equally fast" in texts(result)[0]) == ("INVALID", True)


def test_a_control_that_varies_has_not_moved():
    controls = (1.08, 0.99, 1.05, 0.97)
    assert look([pair(control=control) for control in controls]).verdict == "PASS"


@pytest.mark.parametrize("judge", [look, confirm])
def test_an_implausible_speedup_is_invalid(judge):
    result = judge([pair(0.3)] * 8)
    assert result.verdict == "INVALID"
    assert texts(result) == ["head saves 70 % of the step time, and max_speedup is 50 %"]
    assert judge([pair(0.3)] * 8, max_speedup=0.8).verdict == "PASS"
    assert judge([pair(0.3)] * 8, max_speedup=None).verdict == "PASS"


@pytest.mark.parametrize("judge", [look, confirm])
def test_lost_pairs_are_no_evidence(judge):
    assert judge([pair(lost=True)] * 8).verdict == "INVALID"
    result = judge([pair()] * 4 + [pair(lost=True)] * 4)
    assert (result.verdict, texts(result)) == ("INVALID", [LOST.format(4, 8)])


@pytest.mark.parametrize(("kept", "lost"), [(0, 8), (1, 3)])
def test_a_first_step_needs_undisturbed_pairs_too(kept, lost):
    """Where the step is not judged, nothing else shows that the machine was busy."""
    pairs = [pair()] * kept + [pair(lost=True)] * lost
    result = look(pairs, "first step")
    assert (result.verdict, texts(result)) == ("INVALID", [LOST.format(lost, kept + lost)])
    assert look(pairs, "memory").verdict == look([pair()] * 4, "first step").verdict == "PASS"


SPREAD = [1.02, 1.1, 1.03, 1.09, 1.04, 1.08, 1.05, 1.07]


@pytest.mark.parametrize(("times", "is_beyond"), [(1.06, True), (1.0, False)])
def test_an_interval_beyond_the_limit_is_never_folded_into_pass(times, is_beyond):
    """One of ten pairs is the other way round, and at so small a level nothing is proven."""
    pairs = [pair(times * ratio) for ratio in [*SPREAD, 1.06]] + [pair(0.999)]
    result = final(confirm(pairs, level=1e-8))
    assert result.verdict == "INCONCLUSIVE"
    assert any("beyond the limit" in text for text in texts(result)) == is_beyond
    assert forgiven(result, "pass") != is_beyond
    record = made_benchmark(verdicts={"step": "INCONCLUSIVE"})
    record.metrics[0] = result
    conclude(record, lambda: None)
    assert (record.verdict, forgiven(record, "pass")) == ("INCONCLUSIVE", not is_beyond)


@pytest.mark.parametrize("ratio", [1.0, 1.3])
def test_too_few_pairs_to_fail_any_head_are_no_pass(ratio):
    result = final(confirm([pair(ratio)] * 3, level=0.0025))
    assert (result.verdict, texts(result)[-1]) == ("INCONCLUSIVE", "3 of at least 4 pairs")
    assert not forgiven(result, "pass")


def test_milliseconds_of_a_first_step_are_no_loss():
    processes = [
        msgspec.structs.replace(process, first_step_seconds=process.first_step_seconds / 400)
        for process in pair(first=2.0).processes
    ]
    quick = msgspec.structs.replace(pair(), processes=processes)
    assert look([quick] * 4, "first step").verdict == "PASS"


def test_a_metric_that_is_off_is_not_judged():
    limits = Limits(max_slowdown=None, growth={"max_memory_growth": None})
    assert [paired.metric for paired in series([pair()] * 4, limits, [64, 64])] == ["first step"]


def confirmed_in_time(fresh, looked, level):
    """The verdict of a confirmation that has time for the fresh pairs, judged after each."""
    for made in range(1, len(fresh) + 1):
        every, last = of("step", [*looked, *fresh[:made]]), made == len(fresh)
        result = confirmed(every, 0.5, level, last=last)
        if result.verdict != "INCONCLUSIVE":
            break
    return result.verdict


def gate_once(rng, truths, spread):
    """The verdicts of a suite as a gate reaches them, at most 15 fresh pairs for each."""
    looked = [noisy(rng, LOOK_PAIRS, truth, spread) for truth in truths]
    verdicts = [look(pairs).verdict for pairs in looked]
    undecided = [place for place, verdict in enumerate(verdicts) if verdict != "PASS"]
    for place in undecided:
        fresh = noisy(rng, 15, truths[place], spread)
        verdicts[place] = confirmed_in_time(fresh, looked[place], 0.01 / len(truths))
    return verdicts


@pytest.fixture
def without_intervals(monkeypatch):
    """No verdict depends on them, and they take most of the time of a simulation."""
    monkeypatch.setattr(
        ratios, "bootstrap_interval", lambda logs: Estimate(float(logs.mean()), None, None, len(logs))
    )


@pytest.mark.usefixtures("without_intervals")
def test_unchanged_code_hardly_ever_fails():
    rng = np.random.default_rng(2)
    spreads = rng.choice([0.005, 0.01, 0.02, 0.04], 60)
    gates = [gate_once(rng, [1.0] * 4, spread) for spread in spreads]
    assert sum("FAIL" in verdicts for verdicts in gates) <= 2  # 1 % of 60, and chance


@pytest.mark.usefixtures("without_intervals")
def test_a_slowdown_as_large_as_the_limit_is_found_in_its_benchmark():
    rng = np.random.default_rng(3)
    gates = [gate_once(rng, [1.0, 1.05, 1.0, 1.0], 0.015) for _ in range(15)]
    assert sum(verdicts[1] == "FAIL" for verdicts in gates) >= 13
    assert sum("FAIL" in (verdicts[0], *verdicts[2:]) for verdicts in gates) <= 1


@pytest.mark.usefixtures("without_intervals")
def test_a_head_exactly_at_its_limit_seldom_passes():
    rng = np.random.default_rng(4)
    passes = []
    for _ in range(80):
        looked = noisy(rng, LOOK_PAIRS, 1.05, 0.02)
        passed = look(looked).verdict == "PASS"
        passes.append(passed or confirmed_in_time(noisy(rng, 12, 1.05, 0.02), looked, 0.01) == "PASS")
    assert sum(passes) <= 11  # the look's 2.5 % and the confirmation's 5 % of 80, and chance


def test_outliers_are_down_weighted_for_the_step_only():
    pairs = [*noisy(np.random.default_rng(0), 10), pair(1.5, first=1.5, memory=1.5), pair(0.6)]
    counts = {paired.metric: paired.ratios.weight for paired in series(pairs, LIMITS, [64, 64])}
    assert 9.5 < counts["step"] < 11
    assert counts["memory"] == counts["first step"] == 12


def test_pairs_made_after_a_metric_was_decided_are_not_behind_its_verdict():
    record = made_benchmark(confirmed=8, step=1.2, verdicts={"step": "FAIL"})
    step, first_step, memory = record.metrics
    later = msgspec.structs.replace(record, confirmation=[*record.confirmation, pair(9.0)])
    failed = msgspec.structs.replace(step, pairs=11)
    every = benchmark_ratios(record, "step", [*record.look, *record.confirmation])
    assert list(ratios_behind(later, failed).logs) == list(every.logs)
    assert ratios_behind(later, failed).mean == every.mean
    passed = msgspec.structs.replace(memory, verdict="PASS", pairs=11)
    assert len(ratios_behind(later, passed).logs) == 11
    looked = msgspec.structs.replace(first_step, stage="look", pairs=3)
    look = benchmark_ratios(record, "first step", record.look)
    assert list(ratios_behind(later, looked).logs) == list(look.logs)
