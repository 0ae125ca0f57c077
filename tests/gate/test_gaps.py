"""Benchmarks and metrics that newer gates did not measure any more."""

import msgspec
from support.made_gates import fixed_gates, made_benchmark, made_gate

from harness.gate import reasons
from harness.gate.history import gaps, read_history


def gates_of(*names_of_each):
    return [
        made_gate(*(made_benchmark(name) for name in names), number=number)
        for number, names in enumerate(names_of_each)
    ]


def test_a_benchmark_that_is_no_longer_in_the_suite_is_an_open_gap():
    gates = gates_of(["cnn", "rnn"], ["cnn", "rnn"], ["cnn"], ["cnn"])
    (gap,) = gaps(gates)
    assert (gap.benchmark, gap.metric, gap.gates, gap.open, gap.reasons) == ("rnn", None, 2, True, [])
    assert (gap.first, gap.last) == (gates[2], gates[3])


def test_a_benchmark_that_was_away_for_a_while_or_failed():
    gates = gates_of(["cnn", "rnn"], ["cnn"], ["cnn", "rnn"], ["cnn", "rnn"])
    failed = reasons.Failed(label="head", message="exited with code 9")
    gates[3].benchmarks[0] = made_benchmark("cnn", metrics=[], verdict="FAIL", reasons=[failed])
    away, ended = sorted(gaps(gates), key=lambda gap: gap.open)
    assert (away.benchmark, away.first, away.last, away.open) == ("rnn", gates[1], gates[1], False)
    assert (ended.benchmark, ended.open, ended.reasons) == ("cnn", True, [failed])


def test_a_metric_that_is_no_longer_judged_or_is_invalid():
    gates = fixed_gates([1.0] * 5)
    implausible = reasons.ImplausibleSpeedup(saved=0.6, max_speedup=0.5)
    for gate in gates[3:]:
        step, first_step, _memory = gate.benchmarks[0].metrics
        invalid = msgspec.structs.replace(step, verdict="INVALID", reasons=[implausible])
        gate.benchmarks[0].metrics = [invalid, first_step]
    step, memory = sorted(gaps(gates), key=lambda gap: gap.metric, reverse=True)
    assert (step.metric, step.first, step.gates, step.reasons) == ("step", gates[3], 2, [implausible])
    assert (memory.metric, memory.first, memory.gates, memory.reasons) == ("memory", gates[3], 2, [])
    latest = {series.metric: series.latest for series in read_history(gates).series}
    assert latest == {"step": False, "first step": True, "memory": False}


def test_two_suites_in_one_folder_are_kept_apart():
    gates = gates_of(["cnn"], ["rnn"], ["cnn"], ["rnn"])
    for gate in gates[1::2]:
        gate.suite = "nightly.toml"
    assert gaps(gates) == []


def test_a_benchmark_that_was_added_later_was_not_missing_before():
    assert gaps(gates_of(["cnn"], ["cnn", "rnn"])) == []
