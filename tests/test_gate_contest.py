"""What a benchmark of a gate asks of its sides once it is suspicious; the pairs are made up."""

import math

import numpy as np
import pytest
from made_gates import made_benchmark, made_pair

from harness import plugins
from harness.duel.sides import Side
from harness.gate import contest
from harness.gate.judgement import Level
from harness.gate.suite import Benchmark
from harness.spec import Plan

TURNS = 6


@pytest.fixture
def suspicious(monkeypatch):
    """A contest whose head takes so many times base's step and memory, and the turns of each pair asked."""
    task = plugins.task("mlp")
    plan = Plan(task=task.define(task.options()), mode="eager", device="cpu", threads=1, seed=0)
    sides = [Side(label=label, backend="torch", plan=plan, options={}) for label in ("base", "head")]
    chance = np.random.default_rng(1)

    def make(step=1.0, memory=1.0):
        asked = []

        class Ring:
            def __init__(self, *_, **__):
                pass

            def pair(self, _steps, turns, _chance):
                asked.append(turns)
                return made_pair(chance, step=step, memory=memory, turns=turns)

        monkeypatch.setattr(contest, "Ring", Ring)
        verdicts = {
            name: "INCONCLUSIVE" for name, ratio in (("step", step), ("memory", memory)) if ratio != 1.0
        }
        record = made_benchmark(step=step, memory=memory, verdicts=verdicts)
        benchmark = Benchmark(name="cnn", backend="torch", task="mlp")
        return contest.Contest(benchmark, sides, record, print, TURNS), asked

    return make


def confirmed(one):
    """The number of fresh pairs until it is decided."""
    pairs = 1
    while one.confirm(lambda: Level(0.01, 0.01), math.inf):
        pairs += 1
    return pairs


def test_memory_alone_is_proven_by_short_pairs(suspicious):
    one, asked = suspicious(memory=1.3)
    assert confirmed(one) == len(asked) == 10
    assert set(asked) == {2}
    assert {metric.metric: metric.verdict for metric in one.record.metrics} == {
        "step": "PASS",
        "first step": "PASS",
        "memory": "FAIL",
    }


def test_a_step_is_proven_by_whole_pairs_and_what_is_decided_is_asked_no_more(suspicious):
    one, asked = suspicious(step=1.2, memory=1.3)
    confirmed(one)
    assert set(asked) == {TURNS}
    assert not one.suspicious
    assert one.record.verdict == "FAIL"
