"""The confirmation of a benchmark, on made-up pairs: what is measured, and when it ends."""

import math
import types

import msgspec
import numpy as np
import pytest
from support.made_gates import failed, made_benchmark, made_pair
from support.workloads import workload

from harness.core.audit.findings import Deviation, Verification, WorkDiffers
from harness.errors import WorkerTimeout
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.environments.suite import Benchmark, Limits
from harness.timing.gate import benchmark, pair_maker
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import QualityResult, forgiven

TURNS = 6


@pytest.fixture
def undecided(monkeypatch):
    """A comparison whose head takes multiples of base's step, first step and memory; and the turns asked."""
    workloads = [workload(label) for label in ("base", "head")]
    chance = np.random.default_rng(1)

    def make(step=1.0, first_step=1.0, memory=1.0, **options):
        asked = []

        class Alternation:
            returned = None

            def __init__(self, *_, certified=False, **_compares):
                self.certified = certified

            def pair(self, _steps, turns):
                asked.append(turns)
                return made_pair(chance, step=step, first_step=first_step, memory=memory, turns=turns)

        monkeypatch.setattr(pair_maker, "WatchedAlternation", Alternation)
        ratios = {"step": step, "first step": first_step, "memory": memory}
        verdicts = {name: "INCONCLUSIVE" for name, ratio in ratios.items() if ratio != 1.0}
        record = made_benchmark(step=step, first_step=first_step, memory=memory, verdicts=verdicts)
        suite_benchmark = Benchmark(name="cnn", backend="torch", task="mlp")
        comparison = benchmark.BenchmarkComparison(
            suite_benchmark, workloads, record, print, TURNS, 0.005, **options
        )
        return comparison, asked

    return make


def confirm(comparison, deadline=math.inf):
    """Confirm until decided; the number of calls, each of which makes a pair unless it is too late."""
    calls = 1
    while comparison.confirm(lambda: 0.01, deadline):
        calls += 1
    return calls


def seconds_of_pairs(monkeypatch, asked):
    """A clock by which each pair takes 3 s, and nothing else takes time."""
    monkeypatch.setattr(benchmark, "time", types.SimpleNamespace(monotonic=lambda: 100.0 + 3.0 * len(asked)))


def at_the_limit(undecided, **options):
    """A comparison of a loss that many pairs cannot decide: its step alone, and a limit as large."""
    comparison, asked = undecided(step=1.0001, **options)
    record = comparison.record
    record.metrics = [msgspec.structs.replace(record.metrics[0], verdict="INCONCLUSIVE")]
    limits = msgspec.structs.replace(record.limits, max_slowdown=1e-5)
    comparison.benchmark = msgspec.structs.replace(comparison.benchmark, limits=limits)
    return comparison, asked


@pytest.mark.parametrize(
    ("ratios", "turns", "failed"),
    [
        ({"memory": 1.3}, TURNS, {"memory"}),  # which may grow from step to step
        ({"first_step": 2.0}, 2, {"first step"}),  # short pairs suffice
        ({"step": 1.2, "memory": 1.3}, TURNS, {"step", "memory"}),
    ],
)
def test_pairs_are_as_long_as_the_metrics_need_that_are_not_decided(undecided, ratios, turns, failed):
    comparison, asked = undecided(**ratios)
    assert confirm(comparison) == len(asked)
    assert (set(asked), comparison.record.undecided, comparison.record.verdict) == ({turns}, [], "FAIL")
    results = {result.metric: result.verdict for result in comparison.record.metrics}
    assert {metric for metric, verdict in results.items() if verdict == "FAIL"} == failed
    assert set(results.values()) <= {"PASS", "FAIL"}


def test_at_the_end_of_the_budget_the_pairs_made_are_judged(undecided, monkeypatch):
    """Two pairs of 3 s fit into 7 s; with those of the look they do not decide."""
    comparison, asked = undecided(step=1.06)
    seconds_of_pairs(monkeypatch, asked)
    assert confirm(comparison, deadline=107.0) == 3
    assert len(asked) == 2
    (step,) = (result for result in comparison.record.metrics if result.metric == "step")
    assert (step.verdict, step.pairs) == ("INCONCLUSIVE", 5)


def test_without_a_budget_it_goes_on_for_some_minutes(undecided, monkeypatch):
    """A loss at the limit: 40 pairs of 3 s do not decide, and 100 s are up before."""
    comparison, asked = at_the_limit(undecided, most_seconds=100.0)
    seconds_of_pairs(monkeypatch, asked)
    confirm(comparison)
    assert 10 - 3 <= len(asked) <= 100 / 3
    assert comparison.record.verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(("made", "too_few"), [(0, True), (1, False)])
def test_too_few_pairs_to_fail_any_head_never_pass(undecided, monkeypatch, made, too_few):
    """A proof takes 4 pairs, those of the look included: with 3, nothing could be proven."""
    comparison, asked = at_the_limit(undecided)
    record = comparison.record
    seconds_of_pairs(monkeypatch, asked)
    confirm(comparison, deadline=99.5 + 4.0 * made)
    assert len(asked) == made
    (step,) = record.metrics
    assert (step.verdict, record.verdict) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert any("of at least 4 pairs" in reason.text for reason in step.reasons) == too_few
    assert forgiven(step, "pass") == (not too_few)


def test_a_metric_that_could_not_be_confirmed_does_not_pass(undecided):
    comparison, asked = undecided(step=1.2)
    assert confirm(comparison, deadline=0.0) == 1
    assert not asked
    assert comparison.record.verdict == "INCONCLUSIVE"
    assert comparison.record.metrics[0].reasons[-1].text == "3 of at least 4 pairs"


@pytest.mark.parametrize(
    ("fails", "verdict"),
    [
        (lambda together, _time: together > 1, "INVALID"),  # there is memory for one of them, not for both
        (lambda _together, _time: True, "FAIL"),
        (lambda _together, time: time == 1, "INVALID"),  # it fails at random, or because of something else
    ],
    ids=["beside base", "always", "once"],
)
def test_a_head_that_fails_only_beside_base_is_not_to_blame(undecided, monkeypatch, fails, verdict):
    tried = []

    class Crowded:
        certified = False

        def __init__(self, workloads, *_, **__):
            self.workloads = workloads

        def pair(self, steps, *_):
            assert len(steps) == len(self.workloads)
            tried.append(len(self.workloads))
            if fails(len(self.workloads), len(tried)):
                raise ConfigurationFailed("head", "out of memory")
            return made_pair(np.random.default_rng(1))

    comparison, _ = undecided(step=1.2)
    comparison._pairs._steps = [4, 5]
    comparison._pairs._alternation = Crowded(comparison.workloads)
    monkeypatch.setattr(pair_maker, "Alternation", Crowded)
    confirm(comparison)
    text = "head failed: out of memory"
    if verdict == "INVALID":
        text = "head failed next to base and did the same work alone: out of memory"
    assert tried == [2, 1]
    assert (comparison.record.verdict, *map(str, comparison.record.reasons)) == (verdict, text)


OTHER_WORK = Verification(outcome="differs", deviation=Deviation(7, 1.5, 2.5))


@pytest.mark.parametrize(
    "cause", [WorkerTimeout("it hangs", silent=True), WorkDiffers("other work", OTHER_WORK)]
)
def test_a_head_that_hangs_or_does_other_work_is_not_tried_again(undecided, cause):
    def pair(*_):
        tried.append(1)
        raise ConfigurationFailed("head", str(cause)) from cause

    tried = []
    comparison, _ = undecided(step=1.2)
    comparison._pairs._alternation = types.SimpleNamespace(pair=pair, returned=None)
    confirm(comparison)
    assert (comparison.record.verdict, len(tried)) == ("FAIL", 1)
    assert comparison.record.reasons == [failed(str(cause))]


QUALITY_ONLY = Limits(
    max_slowdown=None,
    max_first_step_slowdown=None,
    growth={"max_memory_growth": None},
    max_accuracy_loss=0.01,
)


def of_quality(undecided, monkeypatch, first_steps):
    """A comparison of quality alone, whose first steps were judged so and whose trainings pass."""
    monkeypatch.setattr(benchmark, "compare_first_steps", lambda *_: first_steps)
    monkeypatch.setattr(benchmark, "compare_trainings", lambda *_: QualityResult(verdict="PASS"))
    comparison, _ = undecided(step=1.2)
    comparison.benchmark = msgspec.structs.replace(comparison.benchmark, limits=QUALITY_ONLY)
    return comparison


@pytest.mark.parametrize(("verdict", "kind"), [("FAIL", "losses differ"), ("INVALID", "not finite")])
def test_progress_says_why_trainings_are_compared(undecided, monkeypatch, snapshot, verdict, kind):
    reason = Reason(kind=kind, text="a reason")
    comparison = of_quality(undecided, monkeypatch, QualityResult(verdict=verdict, reasons=[reason]))
    said = []
    comparison.say = said.append
    assert comparison.check(math.inf)
    comparison.look(math.inf)
    assert said == snapshot


def test_scores_on_other_data_are_not_compared(undecided, monkeypatch):
    other = QualityResult(verdict="FAIL", reasons=[Reason(kind="other data", text="other data")])
    comparison = of_quality(undecided, monkeypatch, other)
    comparison.record.metrics = []
    assert not comparison.check(math.inf)
    assert (comparison.record.verdict, comparison.record.quality) == ("FAIL", other)


def test_a_process_that_would_take_too_long_is_refused_at_once(undecided, monkeypatch):
    prepared = types.SimpleNamespace(
        records=[], steps=[1, 1], turns=10**6, pair_seconds=9000.0, read=lambda data: data
    )
    monkeypatch.setattr(benchmark, "compare_first_steps", lambda *_: QualityResult(verdict="PASS"))
    monkeypatch.setattr(pair_maker, "prepare", lambda *_: prepared)
    comparison, asked = undecided(step=1.2)
    comparison.record.metrics = []
    comparison.look(math.inf)
    too_long = "a process would take about 4500 s for 1000000 turns, more than 1800 s"
    assert (comparison.record.verdict, asked) == ("INVALID", [])
    assert list(map(str, comparison.record.reasons)) == [too_long]
