"""What a benchmark of a gate asks of its sides once it is suspicious; the pairs are made up."""

import math
import types

import msgspec
import numpy as np
import pytest
from support.made_gates import made_benchmark, made_gate, made_pair

from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.workloads import Workload
from harness.gate import benchmark
from harness.gate.judgement import Level
from harness.gate.record import OTHER_DATA, QualityResult
from harness.gate.suite import Benchmark, Limits
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.report.gate_advice import what_next
from harness.worker.errors import WorkerTimeout

TURNS = 6


@pytest.fixture
def suspicious(monkeypatch):
    """A contest whose head takes so many times base's step, first step and memory; and the turns asked."""
    task = registry.task("mlp")
    defined = task.define(task.options())
    torch = Configuration("torch", "eager", "cpu", threads=1)
    sides = [
        Workload(label=label, configuration=torch, task=defined, options={}) for label in ("base", "head")
    ]
    chance = np.random.default_rng(1)

    def make(step=1.0, first_step=1.0, memory=1.0):
        asked = []

        class Alternation:
            def __init__(self, *_, **__):
                pass

            def pair(self, _steps, turns, _chance):
                asked.append(turns)
                return made_pair(chance, step=step, first_step=first_step, memory=memory, turns=turns)

        monkeypatch.setattr(benchmark, "Alternation", Alternation)
        ratios = {"step": step, "first step": first_step, "memory": memory}
        verdicts = {name: "INCONCLUSIVE" for name, ratio in ratios.items() if ratio != 1.0}
        record = made_benchmark(step=step, first_step=first_step, memory=memory, verdicts=verdicts)
        suite_benchmark = Benchmark(name="cnn", backend="torch", task="mlp")
        return benchmark.BenchmarkComparison(suite_benchmark, sides, record, print, TURNS, 0.005), asked

    return make


def confirmed(one, deadline=math.inf):
    """How often it was asked until it was decided; each time but one that is too late makes a pair."""
    asked = 1
    while one.confirm(lambda: Level(0.01, 0.01), deadline):
        asked += 1
    return asked


def test_memory_is_proven_by_whole_pairs_for_it_may_grow_from_step_to_step(suspicious):
    one, asked = suspicious(memory=1.3)
    assert confirmed(one) == len(asked) == 10
    assert set(asked) == {TURNS}
    assert {metric.metric: metric.verdict for metric in one.record.metrics} == {
        "step": "PASS",
        "first step": "PASS",
        "memory": "FAIL",
    }


def test_the_first_step_alone_is_proven_by_short_pairs(suspicious):
    one, asked = suspicious(first_step=2.0)
    confirmed(one)
    assert set(asked) == {2}
    assert {metric.metric: metric.verdict for metric in one.record.metrics}["first step"] == "FAIL"


def test_a_step_is_proven_by_whole_pairs_and_what_is_decided_is_asked_no_more(suspicious):
    one, asked = suspicious(step=1.2, memory=1.3)
    confirmed(one)
    assert set(asked) == {TURNS}
    assert not one.suspicious
    assert one.record.verdict == "FAIL"


def test_when_time_is_up_what_was_made_is_judged(suspicious, monkeypatch):
    """Seven pairs of 3 s fit into 22 s: no look between, but a last one, and it may use all of the level."""
    one, asked = suspicious(step=1.2)
    clock = types.SimpleNamespace(monotonic=lambda: 100.0 + 3.0 * len(asked))
    monkeypatch.setattr(benchmark, "time", clock)
    assert confirmed(one, deadline=122.0) == 8
    assert len(asked) == 7
    (step,) = (metric for metric in one.record.metrics if metric.metric == "step")
    assert (step.verdict, step.pairs, step.looks["worse"]) == ("FAIL", 7, {7: 1.0})


@pytest.mark.parametrize(("made", "unsound"), [(6, True), (7, False)])
def test_too_few_pairs_to_fail_any_head_are_no_evidence_for_one(suspicious, monkeypatch, made, unsound):
    """At 1 % a loss takes 7 fresh pairs: with 6, even twice the time proves nothing."""
    one, asked = suspicious(step=2.0 if unsound else 1.0001)
    one.record.metrics = [msgspec.structs.replace(m, verdict="INCONCLUSIVE") for m in one.record.metrics[:1]]
    one.record.limits = msgspec.structs.replace(one.record.limits, max_slowdown=1e-5)
    monkeypatch.setattr(one, "_benchmark", msgspec.structs.replace(one._benchmark, limits=one.record.limits))
    clock = types.SimpleNamespace(monotonic=lambda: 100.0 + 3.0 * len(asked))
    monkeypatch.setattr(benchmark, "time", clock)
    confirmed(one, deadline=100.5 + 3.0 * made)
    assert len(asked) == made
    (step,) = one.record.metrics
    assert (step.verdict, step.unsound, one.record.unsound) == ("INCONCLUSIVE", unsound, unsound)
    assert ("proving a loss takes 7 fresh pairs of about 3 s, and 6 told something" in step.reason) == unsound


def test_a_suspicion_that_no_pair_could_follow_up_is_no_pass(suspicious):
    one, asked = suspicious(step=1.2)
    assert confirmed(one, deadline=0.0) == 1
    assert not asked
    assert one.record.unsound
    assert "and 0 told something" in one.record.reason


@pytest.mark.parametrize(
    ("falls", "verdict"),
    [
        (lambda sides, _time: sides > 1, "INCONCLUSIVE"),  # a device holds one of them, and not both
        (lambda _sides, _time: True, "FAIL"),
        (lambda _sides, time: time == 1, "INCONCLUSIVE"),  # it falls now and then, or something else made it
    ],
    ids=["beside base", "always", "once"],
)
def test_a_head_that_fails_beside_base_alone_may_not_be_to_blame(suspicious, monkeypatch, falls, verdict):
    """It is never green all the same."""
    tried = []

    class Crowded:
        def __init__(self, sides, *_, **__):
            self.sides = sides

        def pair(self, steps, *_):
            assert len(steps) == len(self.sides)
            tried.append(len(self.sides))
            if falls(len(self.sides), len(tried)):
                raise ConfigurationFailed("head", "out of memory")
            return made_pair(np.random.default_rng(1))

    one, _ = suspicious(step=1.2)
    one._steps = [4, 5]
    one._ring = Crowded(one._sides)
    monkeypatch.setattr(benchmark, "Alternation", Crowded)
    confirmed(one)
    unsure = verdict == "INCONCLUSIVE"
    assert tried == [2, 1]
    assert (one.record.verdict, one.record.unsound) == (verdict, unsure)
    assert "side head: out of memory" in one.record.reason
    assert ("do not fit into memory together" in one.record.reason) == unsure
    assert ("smaller `batch_size`" in what_next(made_gate(one.record), one.record)) == unsure


def test_scores_on_other_data_are_not_compared(suspicious, monkeypatch):
    """Not where a benchmark is of quality alone either, and no pair will show that they differ."""
    other = QualityResult(verdict="FAIL", reason=f"{OTHER_DATA}: sha256 b where base reads a")
    monkeypatch.setattr(benchmark, "same_maths", lambda *_: other)
    monkeypatch.setattr(benchmark, "no_worse", lambda *_: QualityResult(verdict="PASS"))
    off = Limits(
        max_slowdown=None, max_first_step_slowdown=None, max_memory_growth=None, max_accuracy_loss=0.01
    )
    one, _ = suspicious(step=1.2)
    one._benchmark = msgspec.structs.replace(one._benchmark, limits=off)
    one.record.metrics = []
    one.look(math.inf)
    assert (one.record.verdict, one.record.reason) == ("FAIL", f"quality: {other.reason}")


def test_a_pair_that_no_process_may_take_the_time_for_is_refused_at_once(suspicious, monkeypatch):
    prepared = types.SimpleNamespace(
        records=[], steps=[1, 1], turns=10**6, pair_seconds=9000.0, read=lambda data: data
    )
    monkeypatch.setattr(benchmark, "same_maths", lambda *_: QualityResult(verdict="PASS"))
    monkeypatch.setattr(benchmark, "prepare", lambda *_: prepared)
    one, asked = suspicious(step=1.2)
    one.record.metrics = []
    one.look(math.inf)
    assert (one.record.verdict, one.record.unsound, asked) == ("INCONCLUSIVE", True, [])
    told = "a process would take about 4500 s for its part of 1000000 turns, and may take 1800"
    assert told in one.record.reason


def test_a_head_that_hangs_is_not_waited_for_again(suspicious):
    def pair(*_):
        tried.append(1)
        raise ConfigurationFailed("head", "hangs") from WorkerTimeout("it hangs", silent=True)

    tried = []
    one, _ = suspicious(step=1.2)
    one._ring = types.SimpleNamespace(pair=pair)
    confirmed(one)
    assert (one.record.verdict, len(tried)) == ("FAIL", 1)
